// After a backup of the database was loaded, with the portals stopped: the records are made true again, by what the hosts say.
import { UsageError, type Command, type CommandDeps, type Options } from './admin-command.ts';
import { createFleet } from './libvirt/fleet.ts';
import type { Host } from './model/host.ts';
import { settleRestored, type RestoreReport } from './operations/after-restore.ts';
import { selectHosts } from './store/hosts.ts';
import { livingMs, selectLivingPortals } from './store/portals.ts';
import { insertRestoredMark } from './store/restores.ts';
import { sentenceText } from './web/locales/index.ts';

const connectMs = 10_000;

export const restoreCommands: Readonly<Record<string, Command>> = {
  'after-restore': {
    usage: 'after-restore [--off HOST]…',
    summary: 'after a backup of the database was loaded, with all portals stopped: end what was open in it, and record where machines really are; --off: this host is switched off', words: 0,
    audit: 'database.restore',
    options: { off: { type: 'string', multiple: true } },
    async run(deps, _words, options) {
      const living = await selectLivingPortals(deps.db);
      if (living.length > 0) throw new UsageError(`stop all portals first; these have been seen within the last ${livingMs / 1000} s: ${living.join(', ')}`);
      // also for a backup without the mark: should this be interrupted, no portal starts on half of it
      await insertRestoredMark(deps.db, deps.clock.now());
      const hosts = await selectHosts(deps.db);
      const offHostIds = new Set(namesOf(options).map((name) => hostOf(hosts, name).id));
      const fleet = createFleet(deps.openHost);
      try {
        fleet.sync(hosts.filter(({ id }) => !offHostIds.has(id)));
        const silent = await silentHosts(hosts.filter(({ id }) => !offHostIds.has(id)), fleet);
        if (silent.length > 0) {
          for (const line of silent) deps.print(`WRONG  ${line}`);
          deps.print('every host is asked what it has. Mend these, or switch off their power and name them with --off NAME, each: what runs on a host that is only silent would be lost sight of. Nothing was changed');
          return 1;
        }
        const report = await settleRestored({ ...deps, hosts: fleet }, { offHostIds });
        print(deps, report);
        return report.settled ? 0 : 1;
      } finally {
        await fleet.close();
      }
    },
  },
};

function namesOf(options: Options): string[] {
  const names = options['off'];
  return Array.isArray(names) ? names.map(String) : [];
}

function hostOf(hosts: readonly Host[], name: string): Host {
  const host = hosts.find((each) => each.name === name);
  if (host === undefined) throw new UsageError(`--off ${name}: there is no host of that name`);
  return host;
}

/** A line for each host that does not answer. */
async function silentHosts(hosts: readonly Host[], fleet: ReturnType<typeof createFleet>): Promise<string[]> {
  const asked = await Promise.allSettled(hosts.map(({ id }) => fleet.host(id).ready({ timeoutMs: connectMs })));
  return asked.flatMap((answer, index) => (answer.status === 'fulfilled' ? [] : [`host ${hosts[index]?.name ?? ''}: ${answer.reason instanceof Error ? answer.reason.message : String(answer.reason)}`]));
}

function print({ print: line, t }: CommandDeps, report: RestoreReport): void {
  for (const { name, from, to } of report.moved) line(`moved    ${name}: from ${from} to ${to}`);
  for (const { name, from, to } of report.changed) line(`changed  ${name}: from ${from} to ${to}`);
  for (const { name, owner, host } of report.adopted) line(`adopted  ${name} of ${owner}, on ${host}`);
  for (const { name, disk } of report.lost) line(`lost     ${name}: on no host${disk === null ? '' : disk ? '; its disk is there' : ', and its disk is gone too: it was deleted'}`);
  for (const note of report.notes) line(`LOOK     ${sentenceText(t, note)}`);
  const { ended, moved, changed, adopted, lost } = report;
  line(report.settled
    ? `${ended} operations ended, ${moved.length} machines moved, ${changed.length} changed, ${adopted.length} adopted, ${lost.length} lost; portals may be started`
    : 'nothing was changed');
}
