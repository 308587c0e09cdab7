// What scripts/lib/common.sh promises about the processes it remembers: only that very process is ever ended.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { sleep, temporaryFolder, withLibrary } from './run.ts';

describe('remembered processes', () => {
  const folder = temporaryFolder();

  it('ends a launched process, and forgets it', async () => {
    const launched = await withLibrary(['common'], `launch ${folder}/a.pid ${folder}/a.log sleep 300; running_pid ${folder}/a.pid`);
    assert.equal(launched.code, 0, launched.stderr);
    const pid = Number(launched.stdout);
    assert.ok(existsSync(`/proc/${pid}`), 'a launched process outlives the script that launched it');
    const stopped = await withLibrary(['common'], `stop_remembered ${folder}/a.pid 5`);
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.equal((await withLibrary(['common'], `process_start ${pid}`)).code, 1);
    assert.ok(!existsSync(`${folder}/a.pid`));
  });

  it('never ends a process that was given the pid of a dead one', async () => {
    const stranger = spawn('sleep', ['300']);
    try {
      await sleep(50);
      writeFileSync(`${folder}/b.pid`, `${stranger.pid} 12345@00000000-0000-0000-0000-000000000000\n`);
      assert.equal((await withLibrary(['common'], `running_pid ${folder}/b.pid`)).code, 1);
      assert.equal((await withLibrary(['common'], `stop_remembered ${folder}/b.pid 1`)).code, 0);
      assert.equal(stranger.exitCode, null);
      assert.ok(existsSync(`/proc/${stranger.pid}`), 'the stranger lives');
    } finally {
      stranger.kill();
    }
  });

  it('kills what does not end when asked', async () => {
    const script = `launch ${folder}/c.pid ${folder}/c.log bash -c 'trap "" TERM; echo deaf; while :; do sleep 1; done'`;
    await withLibrary(['common'], `${script}; wait_until 5 grep -q deaf ${folder}/c.log`);
    const pid = Number(readFileSync(`${folder}/c.pid`, 'utf8').split(' ')[0]);
    assert.equal((await withLibrary(['common'], `stop_remembered ${folder}/c.pid 1`)).code, 0);
    assert.ok(!existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '));
  });
});

describe('a process that was killed a moment ago', () => {
  const folder = temporaryFolder();

  it('is waited for, and does not run', async () => {
    // its end takes the kernel a while: there is much to give back
    const script = `launch ${folder}/d.pid ${folder}/d.log perl -e '$| = 1; $x = "x" x (400 * 1024 * 1024); print "big\\n"; sleep 60'
      wait_until 20 grep -q big ${folder}/d.log; is_running ${folder}/d.pid && echo before
      kill -KILL "$(running_pid ${folder}/d.pid)"
      is_running ${folder}/d.pid || echo ended; running_pid ${folder}/d.pid || echo gone`;
    const { code, stdout, stderr } = await withLibrary(['common'], script);
    assert.deepEqual([code, stdout], [0, 'before\nended\ngone\n'], stderr);
  });
});

describe('a step', () => {
  const folder = temporaryFolder();

  it('says what to do and shows the log when it fails', async () => {
    const result = await withLibrary(['common'], `step "Doing it" "Try it by hand." ${folder}/step.log bash -c 'echo the reason; exit 3'`);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /✗ Doing it: failed after \d+\.\d s/);
    assert.match(result.stderr, /the reason/);
    assert.match(result.stderr, /Try it by hand\./);
    assert.ok(result.stderr.includes(`${folder}/step.log`));
  });

  it('is silent when it is quick, and tells its time when it is not', async () => {
    const quick = await withLibrary(['common'], `step "Quick" "-" ${folder}/quick.log true`);
    assert.equal(quick.stderr, '');
    const slow = await withLibrary(['common'], `step "Slow" "-" ${folder}/slow.log sleep 1.2`);
    assert.match(slow.stderr, /^… Slow\n✓ Slow \([1-9]\d*\.\d s\)\n$/);
  });
});
