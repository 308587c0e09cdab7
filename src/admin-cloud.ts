// The schema, hosts and images from a shell: scripts/up makes a cloud with these, and so may any automation.
import { fileURLToPath } from 'node:url';
import { neededOption, option, UsageError, type Command, type CommandDeps, type Options } from './admin-command.ts';
import { isFenceValue } from './fencing/fencing.ts';
import { isSecretName, isWithheld } from './fencing/metadata.ts';
import { createFleet } from './libvirt/fleet.ts';
import { addHost } from './operations/host-add.ts';
import { registerImage, type ImageInput } from './operations/image-register.ts';
import { selectOptionalFence, updateFence, type Fence } from './store/fences.ts';
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
    usage: 'add-host --name N --uri U [--shared-pool P]… [--pool P]… [--network N] [--console-address A] [--fence-agent A [--fence NAME=VALUE]…]', summary: 'take a host into management, or bring the one of that name up to date', words: 0, audit: 'host.add',
    options: { name: { type: 'string' }, uri: { type: 'string' }, 'shared-pool': { type: 'string', multiple: true }, pool: { type: 'string', multiple: true }, network: { type: 'string' }, 'console-address': { type: 'string' }, 'fence-agent': { type: 'string' }, fence: { type: 'string', multiple: true } },
    async run(deps, _words, options) {
      const pools = [...poolsOf(options['shared-pool'], true), ...poolsOf(options['pool'], false)];
      const network = option(options, 'network');
      const consoleAddress = option(options, 'console-address');
      const fence = fenceOf(options);
      const { host, created } = await addHost(deps, {
        name: neededOption(options, 'name'),
        uri: neededOption(options, 'uri'),
        ...(pools.length === 0 ? {} : { pools }),
        ...(network === undefined ? {} : { network }),
        ...(consoleAddress === undefined ? {} : { consoleAddress }),
      });
      if (fence !== undefined) await setFence(deps, host.id, fence);
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

function several(value: Options[string]): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function poolsOf(names: Options[string], shared: boolean): { readonly name: string; readonly shared: boolean }[] {
  return several(names).map((name) => ({ name, shared }));
}

/** The agent that switches the host's power, with parameters that are no secrets. undefined: what is set stays. */
function fenceOf(options: Options): Omit<Fence, 'sealed'> | undefined {
  const agent = option(options, 'fence-agent');
  if (agent === undefined) return undefined;
  if (!/^fence_[a-z0-9_]{1,56}$/.test(agent)) throw new UsageError(`--fence-agent: "${agent}" is not the name of a fence agent, such as fence_ipmilan`);
  const parameters = several(options['fence']).map((pair): [string, string] => {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (isWithheld(name) || !isFenceValue(value)) throw new UsageError(`--fence: "${pair}" is not NAME=VALUE of a parameter that may be set`);
    if (isSecretName(name)) throw new UsageError(`--fence ${name}: a secret never stands on a command line: set it in the browser, at the host's page`);
    return [name, value];
  });
  return { agent, parameters: Object.fromEntries(parameters) };
}

/** Its password, set in the browser, stays as long as the agent is the same. */
async function setFence({ db }: CommandDeps, hostId: string, fence: Omit<Fence, 'sealed'>): Promise<void> {
  const before = await selectOptionalFence(db, hostId);
  await updateFence(db, hostId, { ...fence, sealed: before?.agent === fence.agent ? before.sealed : null });
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
