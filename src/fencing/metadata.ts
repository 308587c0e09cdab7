// What an agent says of its parameters (action "metadata"), and which of them may be set from a page.
import { XMLParser } from 'fast-xml-parser';

export interface AgentParameter {
  readonly name: string;
  /** the agent's own words, English */
  readonly shortdesc: string;
  readonly type: 'string' | 'boolean' | 'integer' | 'second' | 'select';
  /** of a select */
  readonly options: readonly string[];
  readonly default: string | null;
  readonly required: boolean;
  /** kept encrypted, never shown again */
  readonly secret: boolean;
}

export interface AgentDescription {
  readonly name: string;
  readonly shortdesc: string;
  readonly parameters: readonly AgentParameter[];
}

/**
 * What says which program is run, what a program reads as commands, or where is written to is the machine's own
 * administrator's to decide, in the agent's defaults: whoever may open this page must not get a shell of the portal by it.
 * And what we set ourselves, or what would make the agent talk.
 */
const withheld = /[_-](?:script|path|prompt|cmd)$|^(?:path|exec|openrc|kubeconfig|logfile|status_file|debug_file|boto3_debug|ssh[_-]options|ipmitool[_-]options)$|^(?:action|option|version|help|verbose|verbose_level|quiet|debug|separator|plug_separator|delay|list|list_?all|nodename)$/;
const secretName = /passw|passphrase|secret|token|community|api_?key|private_key|consumer_key|credential|(?:^|_)kg$/i;
/** A value goes on a line of its own: what has a line break would be an option of its own. */
export const parameterName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

export function isWithheld(name: string): boolean {
  return withheld.test(name) || !parameterName.test(name);
}

export function isSecretName(name: string): boolean {
  return secretName.test(name);
}

type Attributes = Readonly<Record<string, string>>;
interface ParameterXml {
  readonly '@': Attributes;
  readonly shortdesc?: string | { readonly '#text'?: string };
  readonly content?: { readonly '@'?: Attributes; readonly option?: readonly { readonly '@'?: Attributes }[] };
}
interface AgentXml {
  readonly 'resource-agent'?: { readonly '@'?: Attributes; readonly parameters?: { readonly parameter?: readonly ParameterXml[] } };
}

const parser = new XMLParser({
  ignoreAttributes: false, attributeNamePrefix: '', attributesGroupName: '@', parseAttributeValue: false, parseTagValue: false,
  processEntities: true, isArray: (name) => name === 'parameter' || name === 'option',
});

/** undefined: not the metadata of a fence agent. Obsolete names and what may not be set are left out. */
export function parseMetadata(name: string, xml: string): AgentDescription | undefined {
  if (/<!DOCTYPE/i.test(xml)) return undefined;
  let parsed: AgentXml;
  try {
    parsed = parser.parse(xml) as AgentXml;
  } catch {
    return undefined;
  }
  const agent = parsed['resource-agent'];
  if (agent === undefined) return undefined;
  const current = (agent.parameters?.parameter ?? []).filter((each) => each['@']['deprecated'] !== '1');
  return { name, shortdesc: agent['@']?.['shortdesc'] ?? '', parameters: current.map(toParameter).filter((each) => !isWithheld(each.name)) };
}

function toParameter(xml: ParameterXml): AgentParameter {
  const name = xml['@']['name'] ?? '';
  const content = xml.content?.['@'] ?? {};
  const type = content['type'] ?? 'string';
  return {
    name,
    shortdesc: (typeof xml.shortdesc === 'string' ? xml.shortdesc : (xml.shortdesc?.['#text'] ?? '')).slice(0, 200),
    type: type === 'boolean' || type === 'integer' || type === 'second' || type === 'select' ? type : 'string',
    options: (xml.content?.option ?? []).map((option) => option['@']?.['value'] ?? '').filter((value) => value !== ''),
    default: isSecretName(name) ? null : (content['default'] ?? null),
    required: xml['@']['required'] === '1',
    secret: isSecretName(name),
  };
}
