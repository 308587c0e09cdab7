// What an administrator's own backup tells the portal, whose page then says how old the last one is.
import { randomUUID } from 'node:crypto';
import { neededOption, option, UsageError, type Command, type Options } from './admin-command.ts';
import { insertBackup } from './store/backups.ts';

export const databaseCommands: Readonly<Record<string, Command>> = {
  'note-backup': {
    usage: 'note-backup --kind native|logical --place TEXT --bytes N [--seconds N]',
    summary: 'note a backup of the database that was made just now, for the page of the database', words: 0,
    options: { kind: { type: 'string' }, place: { type: 'string' }, bytes: { type: 'string' }, seconds: { type: 'string' } },
    async run({ db, clock, print }, _words, options) {
      const kind = neededOption(options, 'kind');
      if (kind !== 'native' && kind !== 'logical') throw new UsageError('--kind: native (START BACKUP of MySQL Cluster) or logical (an SQL dump)');
      const place = neededOption(options, 'place');
      const endedAt = clock.now();
      await insertBackup(db, { id: randomUUID(), kind, place, bytes: number(options, 'bytes'), begunAt: endedAt - 1000 * number(options, 'seconds', '0'), endedAt });
      print(`noted: ${place}`);
      return 0;
    },
  },
};

function number(options: Options, name: string, standard?: string): number {
  const text = option(options, name) ?? standard ?? neededOption(options, name);
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${name}: a whole number, not "${text}"`);
  return Number(text);
}
