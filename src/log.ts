// One pino logger; one line per event, always with the ids. Secrets are cut out here once more, should a caller slip.
import { pino, type Logger } from 'pino';

export type Log = Logger;

const secretPaths = ['password', 'token', 'ticket', 'secret', 'cookie', 'authorization', 'passwd', '_csrf'];

export function createLog(level: string): Log {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        ...secretPaths.flatMap((name) => [name, `*.${name}`]),
        'req.headers.cookie',
        'req.headers.authorization',
        'res.headers["set-cookie"]',
      ],
      censor: '[cut]',
    },
  });
}
