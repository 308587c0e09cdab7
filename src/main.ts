// The process: config → store → hypervisor → listen → jobs; SIGTERM in reverse.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
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
import { createWebhookSecrets } from './notify/webhook.ts';
import type { OperationDeps } from './operations/deps.ts';
import { createRunner } from './operations/runner.ts';
import { watchEvents } from './operations/watch-events.ts';
import { passwordCost } from './password.ts';
import { seedAlertRules } from './store/alert-rules.ts';
import { openDatabase } from './store/db.ts';
import { seedFlavours } from './store/flavours.ts';
import { migrate } from './store/migrate.ts';
import { portalIdOf, updatePortalStopped, type PortalIdentity } from './store/portals.ts';
import { isMarkedRestored } from './store/restores.ts';

const migrationsDirectory = fileURLToPath(new URL('../migrations', import.meta.url));

/** what requests get to be answered in when the portal stops */
const answerMs = 1000;

async function main(config: Config): Promise<void> {
  const log = createLog(config.logLevel);
  const db = openDatabase(config.databaseUrls);
  // connections of their own: pages that take long must not keep leases from being renewed, nor hosts from being polled
  const pagesDb = openDatabase(config.databaseUrls);
  await migrate(db, { directory: migrationsDirectory, engine: config.databaseEngine, onFile: (name) => log.info({ name }, 'migrated') });
  // what it says of machines is as old as the backup: work that was open then must not be taken up again
  if (await isMarkedRestored(db)) throw new ConfigError('the database was loaded from a backup: run scripts/admin after-restore before the portal is started (docs/admin.md, Restore)');
  await seedFlavours(db);
  await seedAlertRules(db, clock.now());

  const openHost: OpenHypervisor = (uri, options) => openHypervisor(uri, { log, ...fleetConnections, ...(config.libvirtPkiPath === undefined ? {} : { pkiPath: config.libvirtPkiPath }), ...options });
  const hosts = createFleet(openHost);
  const mailer = createMailer(config.smtpUrl, config.mailFrom);
  const fencing = createFencing({ directories: config.fenceAgentsPath, sessionSecret: config.sessionSecret });
  const notify = { db, clock, log, mailer, publicUrl: config.publicUrl, webhookSecrets: createWebhookSecrets(config.sessionSecret) };
  const alert = createAlert(notify);
  const operations: OperationDeps = { db, hosts, openHost, fencing, alert, clock, log, wake: () => runner.wake() };
  const portal: PortalIdentity = {
    id: portalIdOf(config.portalName), name: config.portalName, url: `http://${config.listenAddress}:${config.port}`, version: readVersion(), leaseOwner: randomUUID(),
  };
  const runner = createRunner(operations, { ownerId: portal.leaseOwner });
  let stopping = false;
  const deps = { config, db: pagesDb, clock, log, operations: { ...operations, db: pagesDb }, mailer, isStopping: () => stopping };

  // measured now, not while the first one waits for their login
  log.info({ cost: passwordCost() }, 'bcrypt cost chosen');
  const server = createServer(createApp(deps));
  const consoles = attachConsole(server, deps);
  server.listen(config.port, config.listenAddress);
  await once(server, 'listening');
  log.info({ portal: portal.name, version: portal.version, address: config.listenAddress, port: config.port, publicUrl: config.publicUrl }, 'serving');

  const jobs = createJobs({ ...operations, config, notify }, portal);
  runner.start();
  jobs.start();
  const watch = watchEvents(operations);

  const stop = async (signal: string): Promise<void> => {
    log.info({ signal }, 'stopping');
    stopping = true;
    // a page that hangs must not keep the process: systemd would kill it without releasing the leases
    setTimeout(() => process.exit(1), 10_000).unref();
    // no new ones: a proxy takes those to another portal; what has come is answered meanwhile
    const answered = new Promise((resolve) => server.close(resolve));
    await Promise.all([jobs.stop(), watch.stop(), runner.stop()]);
    consoles.close();
    // event streams never end by themselves
    await Promise.race([answered, delay(answerMs)]);
    server.closeAllConnections();
    await updatePortalStopped(db, portal).catch((error: unknown) => log.warn({ err: error }, 'the end of this portal is not noted'));
    await hosts.close();
    mailer.close();
    await Promise.all([pagesDb.close(), db.close()]);
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

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}

try {
  await main(readConfig());
} catch (error) {
  // before there is a log, or when there is no database: one plain line that says what to do
  process.stderr.write(`${error instanceof ConfigError ? error.message : `The portal cannot start: ${String(error)}`}\n`);
  if (!(error instanceof ConfigError) && error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}
