// scripts/up as a newcomer and as an automation use it: from nothing to a portal that manages a real host, twice; ended by
// Ctrl-C, by SIGTERM and by kill -9.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { must, needsRoot, root, run, script, start, temporaryFolder, until } from './run.ts';

const password = 'a quiet morning 7';

interface Up { readonly child: ChildProcess; readonly output: () => string; readonly exit: Promise<number | null>; readonly readyMs: number }

async function startUp(args: readonly string[]): Promise<Up> {
  const begin = Date.now();
  const child = start(script('up'), args);
  let output = '';
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()));
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await until('ready', 240_000, () => {
    if (child.exitCode !== null) throw new Error(`scripts/up has ended:\n${output}`);
    return /^ready /m.test(output);
  });
  const readyMs = Date.now() - begin;
  await until('the last line', 60_000, () => output.includes('Ctrl-C stops everything'));
  return { child, output: () => output, exit, readyMs };
}

describe('scripts/up', { skip: needsRoot }, () => {
  const data = `${temporaryFolder()}/d`;
  const passwordFile = `${data}-password`;
  const link = /works once\): (\S+)/;
  let port = 0;
  let up: Up;
  const processes = async (): Promise<string> => (await must('ps', ['axww', '-o', 'args'])).split('\n').filter((line) => line.includes(`${data}/`)).join('\n');
  const pidIn = (file: string): number => Number(readFileSync(`${data}/${file}`, 'utf8').split(' ')[0]);
  const get = (path: string, token?: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual', headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  const items = async (path: string, token: string): Promise<string> => {
    const response = await get(path, token);
    assert.equal(response.status, 200, path);
    return response.text();
  };

  before(async () => {
    port = await freePort();
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    mkdirSync(`${data}/images`, { recursive: true });
    const id = (await must(script('build-demo-image'), ['--id'])).trim();
    const built = process.env['TEST_DEMO_IMAGE'];
    if (built !== undefined && existsSync(built)) copyFileSync(built, `${data}/images/demo-${id}.qcow2`);
  });
  after(() => run(script('down'), ['--data', data]));

  it('prints the address and the one-time set-up link, which opens', async () => {
    up = await startUp(['--port', String(port), '--data', data]);
    assert.ok(up.output().includes(`ready http://127.0.0.1:${port}\n`));
    assert.equal((await get('/healthz')).status, 200);
    const url = link.exec(up.output())?.[1] ?? '';
    assert.equal((await get(new URL(url).pathname)).status, 200);
    assert.equal((await get('/setup/somethingelse')).status, 404);
  });

  it('refuses a second one with the same data, and one with a taken port, and says what to do', async () => {
    const same = await run(script('up'), ['--port', String(await freePort()), '--data', data]);
    assert.equal(same.code, 1);
    assert.match(same.stderr, /already running with .*scripts\/down/);
    const other = await run(script('up'), ['--port', String(port), '--data', `${data}-other`]);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /port \d+ is taken by another program: choose another with --port/);
    assert.equal((await get('/healthz')).status, 200, 'the first one is not disturbed');
  });

  it('refuses what it cannot do', async () => {
    assert.match((await run(script('up'), ['--hosts', '9'])).stderr, /--hosts needs a number from 1 to 8, not '9'/);
    assert.match((await run(script('up'), ['--port', 'x'])).stderr, /--port needs a number/);
    assert.match((await run(script('up'), ['--admin', 'ada'])).stderr, /--admin-password-file/);
    assert.equal((await run(script('up'), ['--frobnicate'])).code, 2);
  });

  it('stops all that it started when it is interrupted', async () => {
    up.child.kill('SIGINT');
    assert.equal(await up.exit, 0);
    assert.equal(await processes(), '');
  });

  it('takes up the same data in a few seconds, and makes the first admin without the link', async (t) => {
    up = await startUp(['--port', String(port), '--data', data, '--admin', 'ada', '--admin-password-file', passwordFile]);
    t.diagnostic(`ready after ${up.readyMs} ms`);
    assert.ok(up.readyMs < 30_000, `${up.readyMs} ms`);
    assert.doesNotMatch(up.output(), link);
    assert.ok(!(await must('ps', ['axwwe', '-o', 'args'])).includes(password));
  });

  it('runs a portal that manages the host and offers the image', async () => {
    const token = (await must(script('admin'), ['--data', data, 'token', 'ada'])).trim();
    assert.match(await items('/api/v1/hosts', token), /"host1"/);
    assert.match(await items('/api/v1/images', token), /"Demo"/);
    assert.equal((await get('/api/v1/hosts', `${token}x`)).status, 401);
    const doctor = await run(script('admin'), ['--data', data, 'doctor']);
    assert.equal(doctor.code, 0, doctor.stdout);
  });

  it('leaves its parts running when it is killed, and the next run takes them over', async () => {
    const before = { database: pidIn('database/pid'), host: pidIn('host1/pid'), portal: pidIn('portal.pid') };
    up.child.kill('SIGKILL');
    await up.exit;
    up = await startUp(['--port', String(port), '--data', data]);
    assert.equal(pidIn('database/pid'), before.database);
    assert.equal(pidIn('host1/pid'), before.host, 'guests live on');
    assert.notEqual(pidIn('portal.pid'), before.portal);
  });

  it('is cleaned up by scripts/down after a kill, and by scripts/down while it runs', async () => {
    up.child.kill('SIGKILL');
    await up.exit;
    assert.notEqual(await processes(), '');
    await must(script('down'), ['--data', data]);
    assert.equal(await processes(), '');
    up = await startUp(['--port', String(port), '--data', data]);
    await must(script('down'), ['--data', data]);
    assert.equal(await up.exit, 0);
    assert.equal(await processes(), '');
    assert.ok(existsSync(`${data}/database/data/mysql`), 'the data are kept');
  });

  it('grows to four hosts over TLS, which share the pool that the first one had, and takes them over when it was killed', async (t) => {
    up = await startUp(['--port', String(port), '--data', data, '--hosts', '4']);
    t.diagnostic(`ready after ${up.readyMs} ms`);
    const token = (await must(script('admin'), ['--data', data, 'token', 'ada'])).trim();
    const hosts = JSON.parse(await items('/api/v1/hosts', token)) as { items: { name: string; state: string }[] };
    assert.deepEqual(hosts.items.map(({ name }) => name).sort(), ['host1', 'host2', 'host3', 'host4']);
    assert.match(await must(script('admin'), ['--data', data, 'hosts']), /host4\tup\tqemu\+tls:/);
    const doctor = await run(script('admin'), ['--data', data, 'doctor']);
    assert.equal(doctor.code, 0, doctor.stdout);
    const before = pidIn('host3/pid');
    await must(script('lab'), ['kill', data, '2']);
    up.child.kill('SIGKILL');
    await up.exit;
    up = await startUp(['--port', String(port), '--data', data, '--hosts', '4']);
    assert.equal(pidIn('host3/pid'), before, 'guests live on');
    assert.match(await must(script('lab'), ['status', data]), /"number":2,"name":"host2","state":"up"/);
    await must(script('down'), ['--data', data]);
    assert.equal(await up.exit, 0);
    assert.equal(await processes(), '');
  });

  it('says so when the portal ends by itself, and stops the rest', async () => {
    up = await startUp(['--port', String(port), '--data', data]);
    process.kill(pidIn('portal.pid'), 'SIGKILL');
    assert.equal(await up.exit, 1);
    assert.match(up.output(), /the portal has ended by itself/);
    assert.equal(await processes(), '');
  });
});

describe('scripts/admin', () => {
  it('says what it needs when there is nothing to work on', async () => {
    if (!existsSync(`${root}/dist/admin.js`)) return;
    const result = await run(script('admin'), ['--data', '/nonexistent', 'doctor'], { env: { DATABASE_URL: '' } });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /start scripts\/up once/);
  });
});
