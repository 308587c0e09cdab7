// The process: config → store → hypervisor → listen → jobs; SIGTERM in reverse.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createApp } from './app.ts';
import { createAlert } from './alert.ts';
import { systemClock as clock } from './clock.ts';
import { ConfigError, readConfig, type Config } from './config.ts';
import { attachConsole } from './console/attach.ts';
import { createFencing } from './fencing/fencing.ts';
import { createJobs } from './jobs/index.ts';
import { createFleet, fleetConnections } from './libvirt/fleet.ts';
import type { OpenHypervisor } from './libvirt/hypervisor.ts';
import { openHypervisor } from './libvirt/open-hypervisor.ts';
import { createLog } from './log.ts';
import { createMailer } from './mail.ts';
import type { OperationDeps } from './operations/deps.ts';
import { createRunner } from './operations/runner.ts';
import { watchEvents } from './operations/watch-events.ts';
import { passwordCost } from './password.ts';
import { openDatabase } from './store/db.ts';
import { seedFlavours } from './store/flavours.ts';
import { migrate } from './store/migrate.ts';

const migrationsDirectory = fileURLToPath(new URL('../migrations', import.meta.url));

async function main(config: Config): Promise<void> {
  const log = createLog(config.logLevel);
  const db = openDatabase(config.databaseUrls);
  await migrate(db, { directory: migrationsDirectory, engine: config.databaseEngine, onFile: (name) => log.info({ name }, 'migrated') });
  await seedFlavours(db);

  const openHost: OpenHypervisor = (uri, options) => openHypervisor(uri, { log, ...fleetConnections, ...(config.libvirtPkiPath === undefined ? {} : { pkiPath: config.libvirtPkiPath }), ...options });
  const hosts = createFleet(openHost);
  const mailer = createMailer(config.smtpUrl, config.mailFrom);
  const fencing = createFencing({ directories: config.fenceAgentsPath, sessionSecret: config.sessionSecret });
  const alert = createAlert({ db, mailer, log, publicUrl: config.publicUrl });
  const operations: OperationDeps = { db, hosts, openHost, fencing, alert, clock, log, wake: () => runner.wake() };
  const runner = createRunner(operations, { ownerId: randomUUID() });
  const deps = { config, db, clock, log, operations, mailer };

  // measured now, not while the first one waits for their login
  log.info({ cost: passwordCost() }, 'bcrypt cost chosen');
  const server = createServer(createApp(deps));
  const consoles = attachConsole(server, deps);
  server.listen(config.port, config.listenAddress);
  await once(server, 'listening');
  log.info({ address: config.listenAddress, port: config.port, publicUrl: config.publicUrl }, 'serving');

  const jobs = createJobs({ ...operations, config }, { ownerId: randomUUID() });
  runner.start();
  jobs.start();
  const watch = watchEvents(operations);

  const stop = async (signal: string): Promise<void> => {
    log.info({ signal }, 'stopping');
    // a page that hangs must not keep the process: systemd would kill it without releasing the leases
    setTimeout(() => process.exit(1), 10_000).unref();
    await Promise.all([jobs.stop(), watch.stop(), runner.stop()]);
    consoles.close();
    server.close();
    server.closeAllConnections();
    await hosts.close();
    mailer.close();
    await db.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      stop(signal).catch((error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      });
    });
  }
}

try {
  await main(readConfig());
} catch (error) {
  // before there is a log, or when there is no database: one plain line that says what to do
  process.stderr.write(`${error instanceof ConfigError ? error.message : `The portal cannot start: ${String(error)}`}\n`);
  if (!(error instanceof ConfigError) && error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}
