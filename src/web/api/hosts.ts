// Hosts with what was last measured on them, for admins.
import { z } from 'zod';
import { say } from '../../errors.ts';
import type { Host } from '../../model/host.ts';
import { isStale, type HostSample } from '../../model/metrics.ts';
import { selectHost, selectHosts } from '../../store/hosts.ts';
import { selectLatestHostSamples } from '../../store/samples.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { pageOf, pageQuery, slicePage } from './paging.ts';
import { amount, id, idParams, iso, isoOrNull, percent, time } from './shapes.ts';

const hostSchema = named('Host', z.strictObject({
  id, name: z.string(), uri: z.string(),
  wish: z.enum(['enabled', 'disabled', 'maintenance']), state: z.enum(['unknown', 'up', 'unreachable', 'fenced']), seenAt: time.nullable(), reason: z.string().nullable(),
  consoleAddress: z.string(), network: z.string(), virtType: z.enum(['kvm', 'qemu']).nullable(),
  arch: z.string().nullable(), cpuModel: z.string().nullable(), libvirtVersion: z.string().nullable(), qemuVersion: z.string().nullable(),
  cpus: amount, memoryMib: amount, usedVcpus: amount, usedMemoryMib: amount,
  measured: z.strictObject({ at: time, stale: z.boolean(), cpuPercent: percent, memoryUsedMib: amount.nullable() }).nullable(),
}));

const hostPage = named('HostPage', pageOf(hostSchema));

function hostBody(host: Host, sample: HostSample | undefined, now: number, pollIntervalMs: number): z.input<typeof hostSchema> {
  const { name, uri, wish, state, reason, consoleAddress, network, virtType, arch, cpuModel, libvirtVersion, qemuVersion, cpus, memoryMib, usedVcpus, usedMemoryMib } = host;
  return {
    id: host.id, name, uri, wish, state, seenAt: isoOrNull(host.seenAt), reason, consoleAddress, network, virtType,
    arch, cpuModel, libvirtVersion, qemuVersion, cpus, memoryMib, usedVcpus, usedMemoryMib,
    measured: sample === undefined ? null : { at: iso(sample.at), stale: isStale(sample.at, now, pollIntervalMs), cpuPercent: sample.cpuPercent, memoryUsedMib: sample.memoryUsedMib },
  };
}

export function hostEndpoints({ db, clock, config }: WebDeps): Endpoint[] {
  const bodies = async (hosts: readonly Host[]): Promise<z.input<typeof hostSchema>[]> => {
    const now = clock.now();
    const samples = await selectLatestHostSamples(db, hosts.map((host) => host.subjectId), now);
    return hosts.map((host) => hostBody(host, samples.get(host.subjectId), now, config.pollIntervalMs));
  };
  return [
    endpoint({
      method: 'get', path: '/hosts', id: 'listHosts', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listHosts'),
      query: z.strictObject(pageQuery),
      response: hostPage,
      handler: async ({ query }) => {
        const page = slicePage(await selectHosts(db), query);
        return { body: { ...page, items: await bodies(page.items) } };
      },
    }),
    endpoint({
      method: 'get', path: '/hosts/:id', id: 'getHost', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.getHost'),
      params: idParams,
      response: hostSchema,
      handler: async ({ params }) => {
        const host = await selectHost(db, params.id);
        const [body] = await bodies([host]);
        if (body === undefined) throw new Error('one host has one body');
        return { body };
      },
    }),
  ];
}
