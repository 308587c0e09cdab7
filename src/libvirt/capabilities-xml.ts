// What a host says of itself: virConnectGetCapabilities and virConnectBaselineCPU.
import { find, findAll, readXml, textAt } from './xml-reader.ts';

export interface Capabilities {
  readonly hostUuid: string | null;
  readonly arch: string | null;
  readonly cpuModel: string | null;
  /** the host's CPU as XML of its own, for virConnectBaselineCPU; null where it has no model */
  readonly cpuXml: string | null;
  /** features named beside the model; those the model contains are not among them */
  readonly cpuFeatures: readonly string[];
  /** <domain type=…> of the fully virtualized guests of the host's own architecture */
  readonly domainTypes: readonly string[];
  readonly cpus: number;
}

export function readCapabilities(xml: string): Capabilities {
  const root = readXml(xml);
  const cpu = find(root, 'host', 'cpu');
  const arch = cpu === undefined ? null : textAt(cpu, 'arch');
  const cells = findAll(find(root, 'host', 'topology', 'cells'), 'cell');
  return {
    hostUuid: textAt(root, 'host', 'uuid'),
    arch,
    cpuModel: cpu === undefined ? null : textAt(cpu, 'model'),
    cpuXml: /<cpu>[\s\S]*?<\/cpu>/.exec(xml)?.[0] ?? null,
    cpuFeatures: findAll(cpu, 'feature').map((feature) => feature.attributes['name'] ?? ''),
    domainTypes: domainTypesOf(root, arch),
    cpus: cells.reduce((sum, cell) => sum + Number(find(cell, 'cpus')?.attributes['num'] ?? 0), 0),
  };
}

function domainTypesOf(root: ReturnType<typeof readXml>, arch: string | null): string[] {
  const guests = findAll(root, 'guest').filter((guest) => textAt(guest, 'os_type') === 'hvm');
  const archs = guests.flatMap((guest) => findAll(guest, 'arch')).filter((element) => arch === null || element.attributes['name'] === arch);
  return [...new Set(archs.flatMap((element) => findAll(element, 'domain').map((domain) => domain.attributes['type'] ?? '')))];
}

/** Feature names of a CPU that virConnectBaselineCPU has expanded. */
export function readCpuFeatures(cpuXml: string): string[] {
  return findAll(readXml(cpuXml), 'feature')
    .filter((feature) => feature.attributes['policy'] !== 'disable')
    .map((feature) => feature.attributes['name'] ?? '');
}
