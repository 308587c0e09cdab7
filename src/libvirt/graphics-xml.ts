// The VNC screen of a domain: where it listens, and the device XML that gives it a new password. libvirt compares the whole
// element with the running one and refuses any other difference, so everything that is there is given back as it was.
import { create } from 'xmlbuilder2';
import { find, findAll, readXml } from './xml-reader.ts';

type Attributes = Readonly<Record<string, string>>;

export interface VncGraphics {
  /** TCP port on the host; null while the domain is off */
  readonly port: number | null;
  readonly attributes: Attributes;
  readonly listens: readonly Attributes[];
}

/** The first VNC screen in a domain's XML; undefined: it has none. */
export function readVncGraphics(domainXml: string): VncGraphics | undefined {
  const graphics = findAll(find(readXml(domainXml), 'devices'), 'graphics').find((element) => element.attributes['type'] === 'vnc');
  if (graphics === undefined) return undefined;
  const { attributes } = graphics;
  const port = Number(attributes['port'] ?? -1);
  return { port: Number.isInteger(port) && port > 0 ? port : null, attributes, listens: findAll(graphics, 'listen').map((element) => element.attributes) };
}

/** Device XML that sets the password, valid until `validTo` (ms UTC, whole seconds) by the clock of the host. */
export function vncPasswordXml(graphics: VncGraphics, password: string, validTo: number): string {
  // libvirt reads the time as UTC and knows no zone suffix or fraction
  const passwdValidTo = new Date(validTo).toISOString().slice(0, 19);
  const root = create().ele('graphics', { ...graphics.attributes, passwd: password, passwdValidTo });
  for (const listen of graphics.listens) root.ele('listen', listen);
  return root.toString();
}
