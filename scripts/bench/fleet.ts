// Starts fleets of fake hosts for benchmarks and writes them into a database as hosts with running instances.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { selectHosts } from '../../src/store/hosts.ts';
import type { Database, Db, SqlValue } from '../../src/store/db.ts';
import { makeUser } from '../../test/helpers/accounts.ts';

export interface FleetHost { readonly index: number; readonly uri: string; readonly guests: readonly string[] }
export interface Fleet { readonly hosts: readonly FleetHost[]; stop(): void }

const batchRows = 500;
/** As `npm start` runs the portal. */
export const portalOptions = ['--max-semi-space-size=4'];

export function macOf(guest: number): string {
  return `52:54:${[24, 16, 8, 0].map((bits) => ((guest >> bits) & 255).toString(16).padStart(2, '0')).join(':')}`;
}

/** A program of this folder that answers lines with lines of JSON. */
export class Helper {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(script: string, args: readonly (string | number)[], nodeOptions: readonly string[] = []) {
    this.child = spawn(process.execPath, [...nodeOptions, '--import', 'tsx', fileURLToPath(new URL(script, import.meta.url)), ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  async answer<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.child.spawnargs.join(' ')} ended`);
    return JSON.parse(value) as T;
  }

  ask<T>(word: string): Promise<T> {
    this.child.stdin?.write(`${word}\n`);
    return this.answer<T>();
  }

  end(): void {
    this.child.stdin?.end();
  }
}

/** `processes`: one process can hold about a thousand hosts. */
export async function startFleet(hosts: number, guests: number, processes = 1): Promise<Fleet> {
  const share = Math.ceil(hosts / processes);
  const servers = Array.from({ length: processes }, (_, n) => new Helper('fleet-server.ts', [Math.min(share, hosts - n * share), guests, n * share]));
  const started = await Promise.all(servers.map((server) => server.answer<FleetHost[]>()));
  return { hosts: started.flat(), stop: () => { for (const server of servers) server.end(); } };
}

async function insertRows(db: Db, table: string, columns: readonly string[], rows: readonly (readonly (string | number | null)[])[]): Promise<void> {
  for (let start = 0; start < rows.length; start += batchRows) {
    const batch = rows.slice(start, start + batchRows);
    const values: SqlValue[] = batch.flat();
    await db.execute(`INSERT INTO ${table} (${columns.join(', ')}) VALUES ${batch.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ')}`, values);
  }
}

/** Hosts, one shared pool, and a user's running instances. */
export async function seedFleet(db: Database, fleet: Fleet): Promise<void> {
  const now = Date.now();
  const user = await makeUser(db, 'bench');
  const hostIds = fleet.hosts.map(() => randomUUID());
  const poolId = randomUUID();
  const owners = [...hostIds, poolId, ...fleet.hosts.flatMap((host) => host.guests)];
  await insertRows(db, 'sample_subjects', ['owner_id', 'created_at'], owners.map((id) => [id, now]));
  const subjects = new Map((await db.query<{ id: number; owner_id: string }>('SELECT id, owner_id FROM sample_subjects')).map((row) => [row.owner_id, row.id]));
  const subjectOf = (id: string): number => subjects.get(id) ?? 0;
  await insertRows(db, 'hosts', ['id', 'name', 'uri', 'wish', 'state', 'console_address', 'network', 'virt_type_wish', 'virt_type', 'cpus', 'memory_mib', 'subject_id', 'created_at'],
    fleet.hosts.map((host, n) => [hostIds[n] ?? '', `host${host.index}`, host.uri, 'enabled', 'up', '127.0.0.1', 'default', 'auto', 'qemu', 32, 262_144, subjectOf(hostIds[n] ?? ''), now]));
  await insertRows(db, 'storage_pools', ['id', 'name', 'shared', 'kind', 'path', 'subject_id', 'created_at'], [[poolId, 'default', 1, 'netfs', '/pool', subjectOf(poolId), now]]);
  await insertRows(db, 'host_pools', ['host_id', 'pool_id'], hostIds.map((id) => [id, poolId]));
  const imageId = randomUUID();
  await insertRows(db, 'instances', ['id', 'user_id', 'name', 'state', 'state_at', 'host_id', 'pool_id', 'image_id', 'vcpus', 'memory_mib', 'disk_gib', 'mac', 'address', 'console_port', 'subject_id', 'created_at'],
    fleet.hosts.flatMap((host, n) => host.guests.map((id, guest) => [
      id, user.id, `vm-${host.index}-${guest}`, 'running', now, hostIds[n] ?? '', poolId, imageId, 2, 512, 10, macOf(host.index * host.guests.length + guest), null, 5900 + guest, subjectOf(id), now,
    ])));
  if ((await selectHosts(db)).length !== fleet.hosts.length) throw new Error('the fleet is not in the database');
}

export const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
