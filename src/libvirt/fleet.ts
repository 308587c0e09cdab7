// The hosts we manage and their connections, by our own host id.
import { AppError, say } from '../errors.ts';
import type { Fleet, Hypervisor, HypervisorOptions, OpenHypervisor } from './hypervisor.ts';

/**
 * How the hosts we manage are connected to. A silent one is given up after 2 s × (3 + 1), so that a new connection is being
 * tried when it comes back; tried every 2 s at the longest and for 5 s each, because a packet that was lost while it was
 * away is not sent again for longer than that.
 */
export const fleetConnections: HypervisorOptions = { keepalive: { intervalSeconds: 2, count: 3 }, backoff: { firstMs: 250, maxMs: 2000 }, connectTimeoutMs: 5000 };

export function createFleet(open: OpenHypervisor): Fleet {
  const hosts = new Map<string, Hypervisor>();
  const machines = new Map<string, string | null>();
  return {
    host(hostId) {
      const host = hosts.get(hostId);
      if (host === undefined) throw new AppError('not-found', say('hypervisor.unknown-host'));
      return host;
    },
    has: (hostId) => hosts.has(hostId),
    sync(wanted) {
      const uris = new Map(wanted.map(({ id, uri }) => [id, uri]));
      machines.clear();
      for (const { id, hostUuid } of wanted) machines.set(id, hostUuid ?? null);
      for (const [id, host] of hosts) {
        if (uris.get(id) === host.uri) continue;
        hosts.delete(id);
        void host.close();
      }
      const failures: unknown[] = [];
      for (const [id, uri] of uris) {
        if (hosts.has(id)) continue;
        try {
          hosts.set(id, open(uri, { hostUuid: () => machines.get(id) ?? null }));
        } catch (error) {
          failures.push(error);
        }
      }
      // One URI that cannot be spoken must not keep the other hosts from being opened.
      if (failures.length > 0) throw failures[0];
    },
    async close() {
      const closing = [...hosts.values()].map((host) => host.close());
      hosts.clear();
      await Promise.all(closing);
    },
  };
}
