// libvirt's XML as a tree of plain elements. A document type, and with it every entity but XML's own five, is refused.
import { XMLParser } from 'fast-xml-parser';

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

const parser = new XMLParser({
  preserveOrder: true, ignoreAttributes: false, attributeNamePrefix: '', parseAttributeValue: false, parseTagValue: false,
  trimValues: true, ignoreDeclaration: true, ignorePiTags: true, processEntities: true,
});

type OrderedNode = Readonly<Record<string, unknown>>;

/** The root element. Throws for what is not XML: a host that sends it is broken. */
export function readXml(xml: string): XmlElement {
  if (/<!DOCTYPE/i.test(xml)) throw new Error('XML with a document type');
  const root = (parser.parse(xml) as OrderedNode[]).map(toElement).find((element) => element !== undefined);
  if (root === undefined) throw new Error('not XML');
  return root;
}

function toElement(node: OrderedNode): XmlElement | undefined {
  const name = Object.keys(node).find((key) => key !== ':@' && key !== '#text');
  if (name === undefined) return undefined;
  const content = node[name] as OrderedNode[];
  return {
    name,
    attributes: (node[':@'] ?? {}) as Record<string, string>,
    text: content.map((child) => (typeof child['#text'] === 'string' ? child['#text'] : '')).join(''),
    children: content.map(toElement).filter((child) => child !== undefined),
  };
}

/** The first element at the end of this way of names. */
export function find(element: XmlElement, ...names: string[]): XmlElement | undefined {
  let found: XmlElement | undefined = element;
  for (const name of names) found = found?.children.find((child) => child.name === name);
  return found;
}

export function findAll(element: XmlElement | undefined, name: string): XmlElement[] {
  return (element?.children ?? []).filter((child) => child.name === name);
}

/** Text of that element; null where there is none. */
export function textAt(element: XmlElement, ...names: string[]): string | null {
  return find(element, ...names)?.text ?? null;
}
