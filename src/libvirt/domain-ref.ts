import type { DomainRef } from './hypervisor.ts';

/** A domain as an argument. The daemon finds it by its UUID alone; the name only shows in the daemon's messages. */
export function domainArg(uuid: string): DomainRef {
  return { name: uuid, uuid, id: -1 };
}
