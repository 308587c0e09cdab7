// The schema, hosts and images from a shell: scripts/up makes a cloud with these, and so may any automation.
import { fileURLToPath } from 'node:url';
import { neededOption, option, type Command } from './admin-command.ts';
import { addHost } from './operations/host-add.ts';
import { seedFlavours } from './store/flavours.ts';
import { selectHosts } from './store/hosts.ts';
import { migrate } from './store/migrate.ts';

const migrationsDirectory = fileURLToPath(new URL('../migrations', import.meta.url));

export const cloudCommands: Readonly<Record<string, Command>> = {
  migrate: {
    usage: 'migrate', summary: 'bring the database to the schema of this release (the portal does so too when it starts)', words: 0,
    async run({ config, db, print }) {
      const ran = await migrate(db, { directory: migrationsDirectory, engine: config.databaseEngine });
      await seedFlavours(db);
      print(ran.length === 0 ? 'the schema is up to date' : `ran ${ran.length} migrations`);
      return 0;
    },
  },
  hosts: {
    usage: 'hosts', summary: 'list the hosts: name, state, URI', words: 0,
    async run({ db, print }) {
      for (const host of await selectHosts(db)) print(`${host.name}\t${host.wish === 'disabled' ? 'disabled' : host.state}\t${host.uri}`);
      return 0;
    },
  },
  'add-host': {
    usage: 'add-host --name N --uri U [--pool P] [--network N] [--console-address A]', summary: 'take a host into management, or bring the one of that name up to date', words: 0, audit: 'host.add',
    options: { name: { type: 'string' }, uri: { type: 'string' }, pool: { type: 'string' }, shared: { type: 'boolean' }, network: { type: 'string' }, 'console-address': { type: 'string' } },
    async run(deps, _words, options) {
      const pool = option(options, 'pool');
      const network = option(options, 'network');
      const consoleAddress = option(options, 'console-address');
      const { host, created } = await addHost(deps, {
        name: neededOption(options, 'name'),
        uri: neededOption(options, 'uri'),
        ...(pool === undefined ? {} : { pools: [{ name: pool, shared: options['shared'] === true }] }),
        ...(network === undefined ? {} : { network }),
        ...(consoleAddress === undefined ? {} : { consoleAddress }),
      });
      deps.print(`${host.name}: ${created ? 'added' : 'up to date'} (libvirt ${host.libvirtVersion}, ${host.virtType}, ${host.cpus} CPUs, ${host.memoryMib} MiB)`);
      return 0;
    },
  },
};
