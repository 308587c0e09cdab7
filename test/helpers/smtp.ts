// A real SMTP server on the loopback that keeps what it is sent.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface ReceivedMail { readonly to: string; readonly raw: string; readonly messageId: string; readonly subject: string; readonly words: string }
export interface TestSmtp {
  readonly url: string;
  readonly received: readonly ReceivedMail[];
  /** refuses all mails with these words from now on; undefined: takes them again */
  refuse(words: string | undefined): void;
  close(): Promise<void>;
}

export async function startSmtp(): Promise<TestSmtp> {
  const received: ReceivedMail[] = [];
  let refusal: string | undefined;
  const server = new SMTPServer({
    authOptional: true, disabledCommands: ['STARTTLS'],
    onMailFrom(_address, _session, done) {
      done(refusal === undefined ? undefined : new Error(refusal));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        received.push(read(session.envelope.rcptTo.map(({ address }) => address).join(), Buffer.concat(chunks).toString('utf8')));
        done();
      });
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`, received,
    refuse: (words) => { refusal = words; },
    close: () => new Promise((resolve) => { server.close(() => resolve()); }),
  };
}

function read(to: string, raw: string): ReceivedMail {
  const [head = ''] = raw.split('\r\n\r\n');
  const header = (name: string): string => new RegExp(`^${name}: (.*(?:\r\n[ \t].*)*)`, 'im').exec(head)?.[1] ?? '';
  const subject = header('Subject').replace(/\?=\r\n\s+=\?/g, '?==?').replace(/=\?UTF-8\?([BQ])\?(.*?)\?=/gi, (_all, kind: string, text: string) =>
    kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64').toString('utf8') : quoted(text.replace(/_/g, ' ')));
  return { to, raw, messageId: header('Message-ID'), subject, words: bodyOf(raw) };
}

function bodyOf(mail: string): string {
  const body = mail.slice(mail.indexOf('\r\n\r\n') + 4);
  return /content-transfer-encoding: base64/i.test(mail) ? Buffer.from(body, 'base64').toString('utf8') : quoted(body.replace(/=\r\n/g, ''));
}

function quoted(text: string): string {
  return Buffer.from(text.replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))), 'latin1').toString('utf8');
}
