// Mail by any SMTP server; without SMTP_URL nothing is sent and the caller is told so.
import { createTransport } from 'nodemailer';

export interface Mail {
  /** one address */
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly replyTo?: string;
  /** left side of the Message-ID: a mail that is sent again has the same one, and readers show it once */
  readonly id?: string;
}

export interface Mailer {
  /** false: no SMTP server is configured */
  readonly enabled: boolean;
  /** Rejects with the SMTP server's words. */
  send(mail: Mail): Promise<void>;
  close(): void;
}

export function createMailer(smtpUrl: string | undefined, from: string): Mailer {
  if (smtpUrl === undefined) {
    return { enabled: false, send: () => Promise.reject(new Error('SMTP_URL is not set')), close: () => undefined };
  }
  const transport = createTransport({ url: smtpUrl, connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 20_000 });
  // "Name <user@domain>" is allowed there
  const domain = /@([\w.-]+)/.exec(from)?.[1] ?? 'localhost';
  return {
    enabled: true,
    async send({ to, subject, text, replyTo, id }) {
      // forms refuse line breaks; here once more, because whatever follows one would be a header of its own
      for (const header of [to, subject, replyTo ?? '']) if (/[\r\n\0]/.test(header)) throw new Error('a header with a line break was refused');
      await transport.sendMail({
        // as an address, not as a text that may hold several of them
        from, to: { name: '', address: to }, subject, text, ...(replyTo === undefined ? {} : { replyTo: { name: '', address: replyTo } }),
        ...(id === undefined ? {} : { messageId: `<${id}@${domain}>` }),
        disableFileAccess: true, disableUrlAccess: true,
      });
    },
    close: () => transport.close(),
  };
}
