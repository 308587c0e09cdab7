// Mail by any SMTP server; without SMTP_URL nothing is sent and the caller is told so.
import { createTransport } from 'nodemailer';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly replyTo?: string;
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
  return {
    enabled: true,
    async send(mail) {
      await transport.sendMail({ from, to: mail.to, subject: mail.subject, text: mail.text, ...(mail.replyTo === undefined ? {} : { replyTo: mail.replyTo }) });
    },
    close: () => transport.close(),
  };
}
