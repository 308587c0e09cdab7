// One pino logger; one line per event, always with the ids. Secrets are cut out here once more, should a caller slip.
import { pino, type DestinationStream, type Logger } from 'pino';

export type Log = Logger;

const secretPaths = ['password', 'token', 'ticket', 'secret', 'cookie', 'authorization', 'passwd', '_csrf'];

/** Writes to the standard output, unless told where else. */
export function createLog(level: string, destination?: DestinationStream): Log {
  const options = {
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
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
