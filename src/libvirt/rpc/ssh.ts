// libvirt over ssh: the system's ssh runs virt-ssh-helper on the host, which passes the daemon's bytes through.
// ssh's own configuration, agent and known_hosts apply; it never asks anything (BatchMode).
import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { AbortError, HostUnavailableError } from '../errors.ts';
import type { LibvirtUri } from '../uri.ts';

/** last words of ssh that are kept for the reason */
const stderrKeptChars = 2000;

function sshArguments(uri: LibvirtUri): string[] {
  const args = ['-T', '-e', 'none', '-o', 'BatchMode=yes', '-o', 'ForwardX11=no'];
  if (uri.port !== null) args.push('-p', String(uri.port));
  if (uri.user !== null) args.push('-l', uri.user);
  if (uri.keyFile !== null) args.push('-i', uri.keyFile, '-o', 'IdentitiesOnly=yes');
  if (uri.knownHosts !== null) args.push('-o', `UserKnownHostsFile=${uri.knownHosts}`);
  if (uri.trustNewHost) args.push('-o', 'StrictHostKeyChecking=accept-new');
  // The host's shell reads the command, so the URI is quoted for it.
  return [...args, '--', uri.host ?? '', `virt-ssh-helper '${uri.remoteUri.replaceAll("'", `'\\''`)}'`];
}

/** Resolves as soon as ssh runs: its refusals come as the connection's end, with ssh's own words. */
export function spawnSsh(uri: LibvirtUri, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new AbortError(signal));
    const child = spawn('ssh', sshArguments(uri), { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdin, stdout, stderr } = child;
    let lastWords = '';
    stderr.setEncoding('utf8').on('data', (text: string) => { lastWords = (lastWords + text).slice(-stderrKeptChars); });
    const socket = new Duplex({
      read: () => { stdout.resume(); },
      // A failed write is not passed on: ssh's exit follows, and its words say more than EPIPE does.
      write: (chunk: Buffer, _encoding, done) => { stdin.write(chunk, (error) => { if (error == null) done(); }); },
      final: (done) => { stdin.end(done); },
      destroy: (error, done) => { child.kill(); done(error); },
    });
    stdin.on('error', () => undefined);
    stdout.on('data', (chunk: Buffer) => { if (!socket.push(chunk)) stdout.pause(); });
    child.once('spawn', () => resolve(socket));
    child.once('error', (error) => {
      reject(new HostUnavailableError(`cannot run ssh: ${error.message}`, { cause: error }));
      socket.destroy();
    });
    child.once('close', (code) => {
      const words = lastWords.trim();
      socket.destroy(new HostUnavailableError(`ssh ended (${code ?? 'killed'})${words === '' ? '' : `: ${words}`}`));
    });
  });
}
