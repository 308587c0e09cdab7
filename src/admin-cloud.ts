// The schema, hosts and images from a shell: scripts/up makes a cloud with these, and so may any automation.
import { fileURLToPath } from 'node:url';
import { neededOption, option, type Command, type CommandDeps, type Options } from './admin-command.ts';
import { createFleet } from './libvirt/fleet.ts';
import { addHost } from './operations/host-add.ts';
import { registerImage, type ImageInput } from './operations/image-register.ts';
import { seedFlavours } from './store/flavours.ts';
import { selectHosts } from './store/hosts.ts';
import { selectImages, updateImage } from './store/images.ts';
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
    usage: 'add-host --name N --uri U [--shared-pool P]… [--pool P]… [--network N] [--console-address A]', summary: 'take a host into management, or bring the one of that name up to date', words: 0, audit: 'host.add',
    options: { name: { type: 'string' }, uri: { type: 'string' }, 'shared-pool': { type: 'string', multiple: true }, pool: { type: 'string', multiple: true }, network: { type: 'string' }, 'console-address': { type: 'string' } },
    async run(deps, _words, options) {
      const pools = [...poolsOf(options['shared-pool'], true), ...poolsOf(options['pool'], false)];
      const network = option(options, 'network');
      const consoleAddress = option(options, 'console-address');
      const { host, created } = await addHost(deps, {
        name: neededOption(options, 'name'),
        uri: neededOption(options, 'uri'),
        ...(pools.length === 0 ? {} : { pools }),
        ...(network === undefined ? {} : { network }),
        ...(consoleAddress === undefined ? {} : { consoleAddress }),
      });
      deps.print(`${host.name}: ${created ? 'added' : 'up to date'} (libvirt ${host.libvirtVersion}, ${host.virtType}, ${host.cpus} CPUs, ${host.memoryMib} MiB)`);
      return 0;
    },
  },
  'register-image': {
    usage: 'register-image --file F --name N [--pool P] [--cloud-init] [--min-memory MIB] [--description TEXT] [--supersede]',
    summary: 'make an image of a file in a pool; --supersede retires the image that has the name now', words: 0, audit: 'image.register',
    options: { file: { type: 'string' }, name: { type: 'string' }, pool: { type: 'string', default: 'default' }, 'cloud-init': { type: 'boolean' }, 'min-memory': { type: 'string' }, description: { type: 'string' }, supersede: { type: 'boolean' } },
    async run(deps, _words, options) {
      const minMemory = option(options, 'min-memory');
      const description = option(options, 'description');
      const input = {
        pool: neededOption(options, 'pool'), volume: neededOption(options, 'file'), name: neededOption(options, 'name'),
        cloudInit: options['cloud-init'] === true,
        ...(minMemory === undefined ? {} : { minMemoryMib: Number(minMemory) }),
        ...(description === undefined ? {} : { description }),
      };
      if (options['supersede'] === true) await retireNamesake(deps, input);
      const { image, created } = await withFleet(deps, (hosts) => registerImage({ ...deps, hosts }, input));
      deps.print(`${image.name}: ${created ? 'registered' : 'registered before'} (${image.volume}, ${image.format})`);
      return 0;
    },
  },
};

function poolsOf(names: Options[string], shared: boolean): { readonly name: string; readonly shared: boolean }[] {
  return (Array.isArray(names) ? names : []).map((name) => ({ name: String(name), shared }));
}

/** Instances go on standing on the old file; nobody can make new ones of it. */
async function retireNamesake({ db }: CommandDeps, input: ImageInput): Promise<void> {
  const old = (await selectImages(db)).find((image) => image.name === input.name && image.volume !== input.volume);
  if (old !== undefined) await updateImage(db, old.id, { ...old, name: `${old.name} (${old.volume})`, enabled: false });
}

/** Connections of our own to all hosts, for as long as the work takes. */
async function withFleet<T>(deps: CommandDeps, work: (hosts: ReturnType<typeof createFleet>) => Promise<T>): Promise<T> {
  const fleet = createFleet(deps.openHost);
  try {
    const hosts = await selectHosts(deps.db);
    fleet.sync(hosts);
    await Promise.allSettled(hosts.map((host) => fleet.host(host.id).ready({ timeoutMs: 5000 })));
    return await work(fleet);
  } finally {
    await fleet.close();
  }
}
