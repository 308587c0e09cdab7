// QEMU's own opinion of a disk file that this machine can open. The format is always given, never guessed, and the program
// runs without a shell, with limits on time, memory and files: it reads what somebody else has made.
import { execFile } from 'node:child_process';
import { access, constants, lstat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { ImageFormat } from '../model/image.ts';

const run = promisify(execFile);
/** More than any honest header needs; less, and big tables of large images are refused. */
const memoryBytes = 1024 ** 3;
const cpuSeconds = 10;
const timeoutMs = 15_000;
/** Its own, so that nobody's environment decides which program is run. */
const programPath = '/usr/local/bin:/usr/bin:/bin';

export interface QemuImgInfo {
  readonly format: string;
  readonly virtualSizeBytes: number;
  readonly hasBackingFile: boolean;
  readonly hasDataFile: boolean;
  readonly isEncrypted: boolean;
}

/** undefined: the file or the program is not on this machine, or not for us to read. Throws when QEMU cannot or will not read the file. */
export async function qemuImgInfo(path: string, format: ImageFormat): Promise<QemuImgInfo | undefined> {
  const file = await lstat(path).catch(() => undefined);
  if (file === undefined) return undefined;
  // a link in the pool could point anywhere, also at another moment
  if (!file.isFile()) throw new Error('not a regular file');
  // the files of a system pool are often root's alone: then libvirt's and our own reading have to do
  if (!(await access(path, constants.R_OK).then(() => true, () => false))) return undefined;
  const limits = [`--as=${memoryBytes}`, `--cpu=${cpuSeconds}`, '--nofile=64', '--fsize=0'];
  const command = [...limits, '--', 'qemu-img', 'info', '--output=json', '--force-share', '-f', format, '--', path];
  try {
    const { stdout } = await run('prlimit', command, { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1024 ** 2, env: { PATH: programPath, LC_ALL: 'C' } });
    return readInfo(stdout);
  } catch (error) {
    if (isMissingProgram(error)) return undefined;
    throw error;
  }
}

/** `prlimit` is not there, or says that it found no `qemu-img`. */
function isMissingProgram(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ('code' in error && error.code === 'ENOENT') return true;
  return 'stderr' in error && typeof error.stderr === 'string' && /failed to execute/.test(error.stderr);
}

interface InfoJson {
  readonly format?: string;
  readonly 'virtual-size'?: number;
  readonly 'backing-filename'?: string;
  readonly 'full-backing-filename'?: string;
  readonly encrypted?: boolean;
  readonly 'format-specific'?: { readonly data?: { readonly 'data-file'?: string; readonly encrypt?: unknown } };
}

function readInfo(json: string): QemuImgInfo {
  const info = JSON.parse(json) as InfoJson;
  const specific = info['format-specific']?.data;
  return {
    format: info.format ?? '',
    virtualSizeBytes: info['virtual-size'] ?? 0,
    hasBackingFile: info['backing-filename'] !== undefined || info['full-backing-filename'] !== undefined,
    hasDataFile: specific?.['data-file'] !== undefined,
    isEncrypted: info.encrypted === true || specific?.encrypt !== undefined,
  };
}
