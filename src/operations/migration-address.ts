// Where other hosts reach a host for moves. The portal can look only from where it is itself; a burn-in proves the way
// between two hosts.
import { readCapabilities } from '../libvirt/capabilities-xml.ts';
import { HostUnavailableError, InvalidUriError } from '../libvirt/errors.ts';
import type { CallOptions, Hypervisor, OpenHypervisor } from '../libvirt/hypervisor.ts';
import { parseUri, type LibvirtUri } from '../libvirt/uri.ts';
import type { Host } from '../model/host.ts';
import { destinationUri } from './migrate-domain.ts';
import { hostProblem, problemOf, type HostProblem } from './host-problem.ts';

/** null: nothing is wrong with it, as far as the portal sees. `hostUuid`: of the machine that must answer there. */
export async function checkMigrationAddress(
  deps: { readonly openHost: OpenHypervisor }, host: Pick<Host, 'uri' | 'migrationUri'>, hostUuid: string | null, call: CallOptions,
): Promise<HostProblem | null> {
  let own: LibvirtUri;
  let wanted: LibvirtUri;
  try {
    own = parseUri(host.uri);
    wanted = parseUri(host.migrationUri ?? host.uri);
  } catch (error) {
    if (error instanceof InvalidUriError) return { ...problemOf(error), field: 'migrationUri' };
    throw error;
  }
  if (destinationUri(host) === undefined || wanted.transport === 'unix' || isLoopback(wanted.host)) return hostProblem('migration-local', {}, 'migrationUri');
  // the connection in use says that the host is there; and an ssh key of a host is not the portal's to try
  if (host.migrationUri === null || wanted.transport === 'ssh') return null;
  return knock(deps, portalUri(wanted, own), hostUuid, call);
}

/** The same place with the portal's certificates: those of the URI lie on the other hosts. */
function portalUri(wanted: LibvirtUri, own: LibvirtUri): string {
  const host = wanted.host?.includes(':') === true ? `[${wanted.host}]` : (wanted.host ?? '');
  const port = wanted.port === null ? '' : `:${wanted.port}`;
  const pki = wanted.transport === 'tls' && own.pkiPath !== null ? `?pkipath=${encodeURIComponent(own.pkiPath)}` : '';
  return `qemu+${wanted.transport}://${host}${port}/system${pki}`;
}

async function knock(deps: { readonly openHost: OpenHypervisor }, uri: string, hostUuid: string | null, call: CallOptions): Promise<HostProblem | null> {
  let hypervisor: Hypervisor | undefined;
  try {
    hypervisor = deps.openHost(uri, { connectTimeoutMs: knockTimeoutMs, backoff: { firstMs: 60_000, maxMs: 60_000 } });
    await firstAnswer(hypervisor, { ...call, timeoutMs: knockTimeoutMs });
    const found = readCapabilities(await hypervisor.node.getCapabilities({ ...call, timeoutMs: knockTimeoutMs })).hostUuid;
    return hostUuid === null || found === hostUuid ? null : hostProblem('migration-other-machine', {}, 'migrationUri');
  } catch (error) {
    return hostProblem('migration-unreachable', { reason: error instanceof Error ? error.message.slice(0, 500) : String(error) }, 'migrationUri');
  } finally {
    await hypervisor?.close();
  }
}

const knockTimeoutMs = 4000;

/** The first attempt decides: `ready` would go on trying until its deadline. */
export function firstAnswer(hypervisor: Hypervisor, call: CallOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = hypervisor.onStatus((status) => {
      if (status.state !== 'down') return;
      stop();
      reject(new HostUnavailableError(status.reason ?? 'not connected'));
    });
    hypervisor.ready(call).finally(stop).then(resolve, reject);
  });
}

function isLoopback(host: string | null): boolean {
  return host === null || host === 'localhost' || host === '::1' || host.startsWith('127.');
}
