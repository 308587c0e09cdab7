// Runs one of Debian's fence-agents (https://github.com/ClusterLabs/fence-agents/blob/main/doc/FenceAgentAPI.md): options as
// key=value lines over its standard input, so that no password stands in a process's arguments or environment; the exit
// code is the answer. It gets a group of its own and is killed with all its children when its time is over.
import { spawn } from 'node:child_process';

export interface AgentRun {
  /** absolute path of the program */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface AgentResult {
  /** null: killed, because its time was over or it was not wanted any more */
  readonly code: number | null;
  readonly stdout: string;
  /** its last words */
  readonly stderr: string;
}

/** Metadata of the largest agent is 60 KiB. More: an agent that never ends would fill our memory. */
const stdoutKeptBytes = 512 * 1024;
const stderrKeptChars = 2000;
/** Agents call ipmitool, ssh, snmpget: found where Debian puts them, whatever our own environment says. */
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', LANG: 'C.UTF-8' };

/** Never rejects for what the agent does; rejects when the program cannot be run at all. */
export function runAgent({ path, options, timeoutMs, signal }: AgentRun): Promise<AgentResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, [], { stdio: ['pipe', 'pipe', 'pipe'], detached: true, cwd: '/', env: environment });
    const stdout: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = '';
    let killed = false;
    const kill = (): void => {
      killed = true;
      killGroup(child.pid);
      // a child of a child that left the group may keep the pipes open: what it says is of no interest any more
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(kill, timeoutMs);
    signal?.addEventListener('abort', kill, { once: true });
    if (signal?.aborted === true) kill();
    child.stdout.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length;
      if (stdoutBytes <= stdoutKeptBytes) stdout.push(chunk);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr = (stderr + text).slice(-stderrKeptChars); });
    // an agent that ends without reading
    child.stdin.on('error', () => undefined);
    child.stdin.end(Object.entries(options).map(([name, value]) => `${name}=${value}\n`).join(''));
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', kill);
    };
    child.once('error', (error) => { done(); reject(error); });
    // what it left running in its group would hold the pipes open, and act when nobody waits for it any more
    child.once('exit', () => killGroup(child.pid));
    child.once('close', (code) => {
      done();
      resolve({ code: killed ? null : code, stdout: Buffer.concat(stdout).toString('utf8'), stderr: stderr.trim() });
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // all of it has ended
  }
}
