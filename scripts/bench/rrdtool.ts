// rrdtool as a peer of benchmarks: a process a call, and one process that is asked through its pipe.
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export async function rrdtool(...args: readonly string[]): Promise<string> {
  return (await run('rrdtool', [...args], { maxBuffer: 64 << 20 })).stdout;
}

export interface RrdPipe {
  /** One command; its answer. */
  ask(line: string): Promise<string>;
  close(): void;
}

/** `rrdtool -`: no start of a process in its times. */
export function openRrdPipe(): RrdPipe {
  const child = spawn('rrdtool', ['-'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let answer = '';
  let waiting: { resolve(text: string): void; reject(error: Error): void } | undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
    // an answer ends with OK and the times it took, or is an error
    const end = /^(?:OK u:.*|ERROR: .*)\n$/m.exec(answer.slice(-400));
    if (end === null) return;
    const done = waiting;
    const whole = answer;
    waiting = undefined;
    answer = '';
    if (end[0].startsWith('ERROR')) done?.reject(new Error(end[0]));
    else done?.resolve(whole);
  });
  return {
    ask: (line) => new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      child.stdin.write(`${line}\n`);
    }),
    close: () => { child.stdin.end(); },
  };
}
