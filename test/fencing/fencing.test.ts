// Fence agents as processes: the tests' own agent with every fault, and what must never leave the portal.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError } from '../../src/errors.ts';
import { createFencing, type FenceTarget } from '../../src/fencing/fencing.ts';
import { isSecretName } from '../../src/fencing/metadata.ts';
import { createSecretBox } from '../../src/fencing/secret-box.ts';
import { agentsDirectory, createFencedMachine, testAgent, testFencing, type FencedMachine } from '../helpers/fence-agent.ts';

const password = 'pa$$ "word" with # everything';
const secret = 'only for tests: 0123456789abcdef0123456789abcdef';

let machine: FencedMachine;
const target = (over: Partial<FenceTarget> = {}): FenceTarget => ({ agent: testAgent, parameters: machine.parameters, secrets: { password }, ...over });
beforeEach(async () => { machine = await createFencedMachine(); });
afterEach(() => machine.remove());

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => assert.fail('it was not refused'), (reason: unknown) => reason);
  assert.ok(error instanceof AppError, String(error));
  const words = `${error.message} ${JSON.stringify(error.sentence)}`;
  assert.ok(!words.includes(password), words);
  return error.sentence.key;
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a fence agent', () => {
  it('switches off, proven by a status, and on', async () => {
    const fencing = testFencing();
    assert.equal(await fencing.status(target()), 'on');
    await fencing.powerOff(target());
    assert.equal(await machine.power(), 'off');
    assert.equal(await fencing.status(target()), 'off');
    await fencing.powerOn(target());
    assert.equal(await machine.power(), 'on');
    assert.deepEqual(await machine.calls(), ['status', 'off', 'status', 'status', 'on']);
  });

  it('that says “ok” while the machine has power proves nothing', async () => {
    await machine.fault('lie', true);
    assert.equal(await refusal(testFencing().powerOff(target())), 'fencing.still-on');
  });

  it('that fails proves nothing, and its words carry no password', async () => {
    await machine.fault('fail', true);
    assert.equal(await refusal(testFencing().powerOff(target())), 'fencing.failed');
    assert.equal(await refusal(testFencing().status(target({ parameters: { directory: '/nowhere' } }))), 'fencing.failed');
  });

  it('that complains carries no password in another writing either', async () => {
    // by Python, its shlex, json, urllib and base64
    const forms = [
      String.raw`it's /a\"b" ü!`, String.raw`it\'s /a\\"b" ü!`, String.raw`it\'s /a\\"b" \xc3\xbc!`, String.raw`it'"'"'s /a\"b" ü!`, String.raw`it's /a\\\"b\" \u00fc!`, String.raw`it's /a\\\"b\" ü!`,
      'it%27s%20/a%5C%22b%22%20%C3%BC%21', 'it%27s%20%2Fa%5C%22b%22%20%C3%BC%21', 'it%27s+%2Fa%5C%22b%22+%C3%BC%21', 'YWRtaW46aXQncyAvYVwiYiIgw7wh',
    ];
    const directory = await mkdtemp(join(tmpdir(), 'agents-'));
    try {
      await writeFile(join(directory, 'said'), forms.map((form, index) => `${index}<${form}>`).join('\n'));
      await writeFile(join(directory, 'fence_tells'), `#!/bin/sh\ncat '${directory}/said' >&2\nexit 1\n`);
      await chmod(join(directory, 'fence_tells'), 0o755);
      const fencing = createFencing({ directories: [directory], sessionSecret: secret });
      const error: unknown = await fencing.status({ agent: 'fence_tells', parameters: { username: 'admin' }, secrets: { password: forms[0] ?? '' } }).catch((reason: unknown) => reason);
      assert.ok(error instanceof AppError);
      assert.equal(error.sentence.params?.['reason'], forms.map((_form, index) => `${index}<***>`).join('\n'));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('that hangs is ended with its children', async () => {
    await machine.fault('hang', true);
    assert.equal(await refusal(testFencing({ actionMs: 500 }).powerOff(target())), 'fencing.timeout');
    const child = Number(await readFile(join(machine.directory, 'child'), 'utf8'));
    for (const end = Date.now() + 5000; isAlive(child) && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(isAlive(child), false);
  });

  it('ends when nobody wants it any more', async () => {
    await machine.fault('hang', true);
    const stop = new AbortController();
    const asked = testFencing().powerOff(target(), { signal: stop.signal });
    for (const end = Date.now() + 5000; (await machine.calls()).length === 0 && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort();
    assert.equal(await refusal(asked), 'fencing.timeout');
  });

  it('gets its options over its standard input alone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'agents-'));
    const path = join(directory, 'fence_spy');
    await writeFile(path, `#!/bin/bash\n{ echo "arguments $#"; env | sort; echo "--"; cat; } > ${directory}/seen\nexit 2\n`);
    await chmod(path, 0o755);
    try {
      const fencing = createFencing({ directories: [directory], sessionSecret: secret });
      assert.equal(await fencing.status({ agent: 'fence_spy', parameters: { ip: '192.0.2.1' }, secrets: { password } }), 'off');
      const [environment = '', options = ''] = (await readFile(join(directory, 'seen'), 'utf8')).split('--\n');
      assert.ok(environment.startsWith('arguments 0\n'));
      assert.ok(!environment.includes(password) && !/DATABASE_URL|SESSION_SECRET/.test(environment), environment);
      assert.equal(options, `ip=192.0.2.1\npassword=${password}\naction=status\n`);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('describes its parameters, without obsolete ones and those that would run programs', async () => {
    const { shortdesc, parameters } = await testFencing().describeAgent(testAgent);
    assert.equal(shortdesc, 'Fence agent of the tests');
    assert.deepEqual(parameters.map(({ name, type, secret: isSecret, required, default: standard }) => [name, type, isSecret, required, standard]), [
      ['directory', 'string', false, true, null], ['password', 'string', true, false, null], ['method', 'select', false, false, 'onoff'],
      ['ssl', 'boolean', false, false, '0'], ['ipport', 'integer', false, false, '623'],
    ]);
    assert.deepEqual(parameters.find(({ name }) => name === 'method')?.options, ['onoff', 'cycle']);
    assert.equal(parameters[0]?.shortdesc, 'Folder with its state & faults');
  });

  for (const agent of ['fence_nothing', '../../../bin/sh', 'sh', 'fence_test/../fence_test', 'fence_test\n', 'FENCE_TEST', '']) {
    it(`is not run by the name ${JSON.stringify(agent)}`, async () => {
      assert.equal(await refusal(testFencing().status(target({ agent }))), 'fencing.no-agent');
      assert.deepEqual(await machine.calls(), []);
    });
  }

  for (const [name, value] of [['action', 'off'], ['password_script', '/bin/sh'], ['ssh_path', '/bin/sh'], ['ssh_options', 'x'], ['kubeconfig', '/tmp/x'], ['openstack-path', '/tmp/x'], ['username', '-oProxyCommand=x'], ['username', 'me -oProxyCommand=x'], ['ip', '"-oProxyCommand=x'], ['debug_file', '/tmp/x'], ['ip', 'a\naction=off'], ['ip\naction', 'off']]) {
    it(`is not given ${JSON.stringify(name)}`, async () => {
      assert.equal(await refusal(testFencing().status(target({ parameters: { ...machine.parameters, [name ?? '']: value ?? '' } }))), 'fencing.bad-parameter');
      assert.deepEqual(await machine.calls(), []);
    });
  }

  it('is found in the folders of the configuration, in their order', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'agents-'));
    await symlink(join(agentsDirectory, testAgent), join(directory, 'fence_other'));
    await writeFile(join(directory, 'README'), '');
    try {
      const fencing = createFencing({ directories: ['/nowhere', directory, agentsDirectory], sessionSecret: secret });
      assert.deepEqual(await fencing.listAgents(), ['fence_other', testAgent]);
      assert.equal(await fencing.status(target({ agent: 'fence_other' })), 'on');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('the parameters of Debian’s agents', () => {
  for (const name of ['password', 'passwd', 'snmp_priv_passwd', 'secret_key', 'clientsecret', 'private_key', 'consumer_key', 'apikey', 'token', 'identity_token', 'community', 'hexadecimal_kg']) {
    it(`${name} is a secret`, () => assert.equal(isSecretName(name), true));
  }
  for (const name of ['username', 'ip', 'plug', 'ipport', 'access_key', 'public_key', 'power_wait', 'login_timeout', 'auth', 'snmp_auth_prot']) {
    it(`${name} is none`, () => assert.equal(isSecretName(name), false));
  }
});

describe('stored passwords of agents', () => {
  const box = createSecretBox(secret);
  const host = randomUUID();

  it('open for their host', () => {
    const sealed = box.seal(host, { password });
    assert.deepEqual(box.open(host, sealed), { password });
    assert.ok(!sealed.toString('latin1').includes('word'));
    assert.notDeepEqual(box.seal(host, { password }), sealed);
  });

  it('do not open for another host, with another session secret, or changed', async () => {
    const sealed = box.seal(host, { password });
    const changed = Buffer.from(sealed);
    changed[sealed.length - 1] = (changed[sealed.length - 1] ?? 0) ^ 1;
    const attempts = [() => box.open(randomUUID(), sealed), () => createSecretBox(`${secret}!`).open(host, sealed), () => box.open(host, changed), () => box.open(host, Buffer.alloc(3))];
    for (const attempt of attempts) assert.equal(await refusal(Promise.resolve().then(attempt)), 'fencing.secret-lost');
  });
});
