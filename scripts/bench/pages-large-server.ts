// The portal's pages without its jobs, for pages-large: the hosts of its clouds are only rows. Views are kept compiled, as in production.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

process.argv[1] = '/dist/main.js';
const { createApp } = await import('../../src/app.ts');
const { readConfig } = await import('../../src/config.ts');
const { systemClock } = await import('../../src/clock.ts');
const { createLog } = await import('../../src/log.ts');
const { openDatabase } = await import('../../src/store/db.ts');
const config = readConfig(process.env);
const db = openDatabase(config.databaseUrls);
const unused = new Proxy({}, { get: () => () => undefined }) as never;
const app = createApp({ config, db, clock: systemClock, log: createLog('fatal'), operations: unused, mailer: unused });
const server = createServer(app).listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  void db.close();
});
