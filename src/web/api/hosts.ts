// Hosts with what was last measured on them, their maintenance and their burn-ins, for admins.
import { z } from 'zod';
import { say } from '../../errors.ts';
import { burnInStepStates, burnInStates, burnInSteps, type BurnIn } from '../../model/burn-in.ts';
import { fenceProofs, hostStates, hostStatus, hostWishes, type Host } from '../../model/host.ts';
import { isStale, type HostSample } from '../../model/metrics.ts';
import type { Operation } from '../../model/operation.ts';
import type { User } from '../../model/user.ts';
import { submitBurnIn } from '../../operations/host-burn-in-submit.ts';
import { submitHostDrain } from '../../operations/host-drain.ts';
import { submitHostReturn } from '../../operations/host-return.ts';
import { selectBurnInsByHost } from '../../store/burn-ins.ts';
import { selectHost, selectHosts } from '../../store/hosts.ts';
import { latestWithin, selectLatestHostSamples } from '../../store/samples.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { accepted, operationSchema } from './operations.ts';
import { pageOf, pageQuery, slicePage } from './paging.ts';
import { amount, id, idParams, iso, isoOrNull, percent, time } from './shapes.ts';

const hostSchema = named('Host', z.strictObject({
  id, name: z.string(), uri: z.string(),
  /** what the admin wishes, what the last contact said, and the worse of both */
  wish: z.enum(hostWishes), state: z.enum(hostStates), status: z.enum([...hostStates, 'maintenance', 'disabled']), stateSince: time,
  seenAt: time.nullable(), reason: z.string().nullable(),
  /** when and how it was proven to run nothing */
  fenced: z.strictObject({ at: time, proof: z.enum(fenceProofs).nullable() }).nullable(),
  consoleAddress: z.string(), network: z.string(), virtType: z.enum(['kvm', 'qemu']).nullable(),
  arch: z.string().nullable(), cpuModel: z.string().nullable(), libvirtVersion: z.string().nullable(), qemuVersion: z.string().nullable(),
  cpus: amount, memoryMib: amount, usedVcpus: amount, usedMemoryMib: amount,
  measured: z.strictObject({ at: time, stale: z.boolean(), cpuPercent: percent, memoryUsedMib: amount.nullable() }).nullable(),
}));

const hostPage = named('HostPage', pageOf(hostSchema));

function hostBody(host: Host, sample: HostSample | undefined, now: number, pollIntervalMs: number): z.input<typeof hostSchema> {
  const { name, uri, wish, state, reason, consoleAddress, network, virtType, arch, cpuModel, libvirtVersion, qemuVersion, cpus, memoryMib, usedVcpus, usedMemoryMib } = host;
  return {
    id: host.id, name, uri, wish, state, status: hostStatus(host), stateSince: iso(host.stateSince),
    fenced: host.fencedAt === null ? null : { at: iso(host.fencedAt), proof: host.fenceProof },
    seenAt: isoOrNull(host.seenAt), reason, consoleAddress, network, virtType,
    arch, cpuModel, libvirtVersion, qemuVersion, cpus, memoryMib, usedVcpus, usedMemoryMib,
    measured: sample === undefined ? null : { at: iso(sample.at), stale: isStale(sample.at, now, pollIntervalMs), cpuPercent: sample.cpuPercent, memoryUsedMib: sample.memoryUsedMib },
  };
}

const burnInSchema = named('BurnIn', z.strictObject({
  id, state: z.enum(burnInStates), startedAt: time, endedAt: time.nullable(), imageName: z.string(),
  /** where it was moved to and came back from */
  targetName: z.string().nullable(),
  /** empty until it has ended */
  steps: z.array(z.strictObject({ name: z.enum(burnInSteps), state: z.enum(burnInStepStates), elapsedMs: amount.nullable(), note: z.string().nullable() })),
  error: z.string().nullable(), fix: z.string().nullable(),
}));
const burnInPage = named('BurnInPage', pageOf(burnInSchema));

function burnInBody(burnIn: BurnIn, context: Context): z.input<typeof burnInSchema> {
  const words = (sentence: BurnIn['error']): string | null => (sentence === null ? null : context.say(sentence));
  const { state, imageName, targetName, steps, error, fix } = burnIn;
  return {
    id: burnIn.id, state, startedAt: iso(burnIn.startedAt), endedAt: isoOrNull(burnIn.endedAt), imageName, targetName, error: words(error), fix: words(fix),
    steps: steps.map((step) => ({ name: step.name, state: step.state, elapsedMs: step.elapsedMs === null ? null : Math.round(step.elapsedMs), note: words(step.note) })),
  };
}

/** All that a host's history keeps is read at once; a page of the API is cut from it. */
const maxBurnIns = 1000;

export function hostEndpoints(deps: WebDeps): Endpoint[] {
  const { db, clock, config } = deps;
  const bodies = async (hosts: readonly Host[]): Promise<z.input<typeof hostSchema>[]> => {
    const now = clock.now();
    const samples = await selectLatestHostSamples(db, hosts.map((host) => host.subjectId), now, latestWithin(config.pollIntervalMs));
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
    work(deps, 'maintenance', 'beginMaintenance', 'host.maintenance', (host, user, newId) => submitHostDrain(deps.operations, host, user, newId)),
    work(deps, 'return', 'endMaintenance', 'host.return', (host, user, newId) => submitHostReturn(deps.operations, host, user, newId)),
    work(deps, 'burn-ins', 'createBurnIn', 'host.burn-in', (host, actor, newId) => submitBurnIn(deps.operations, host, { imageId: null, actor, id: newId })),
    endpoint({
      method: 'get', path: '/hosts/:id/burn-ins', id: 'listBurnIns', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listBurnIns'),
      params: idParams,
      query: z.strictObject(pageQuery),
      response: burnInPage,
      handler: async ({ params, query, context }) => {
        const host = await selectHost(db, params.id);
        return { body: slicePage((await selectBurnInsByHost(db, host.id, maxBurnIns)).map((burnIn) => burnInBody(burnIn, context)), query) };
      },
    }),
  ];
}

/** Work on a host that goes on as an operation. */
function work({ db }: WebDeps, name: string, operationId: string, audit: string, submit: (host: Host, actor: User, newId: string) => Promise<Operation>): Endpoint {
  return endpoint({
    method: 'post', path: `/hosts/:id/${name}`, id: operationId, access: 'admin', scope: 'write', status: 202, summary: say(`api.summary.${operationId}`),
    audit,
    params: idParams,
    response: operationSchema,
    handler: async ({ params, user, context, note, newId }) => {
      const host = await selectHost(db, params.id);
      note({ target: host.name });
      return accepted(await submit(host, user, newId), context);
    },
  });
}
