// The long soak, started by scripts/soak with a database that runs: prints the report; exit code 1 when something is broken.
import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startLab, type Lab } from '../helpers/lab.ts';
import { holds, renderReport } from './report.ts';
import { fakeSite, labSite, type Site } from './site.ts';
import { soak } from './soak.ts';
import { clusterTargets, groups, type Group } from './target.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' }, seed: { type: 'string' }, attack: { type: 'string' }, hosts: { type: 'string', default: '3' }, fake: { type: 'boolean', default: false },
    portals: { type: 'string', default: '2' }, users: { type: 'string', default: '4' }, machines: { type: 'string', default: '2' }, report: { type: 'string' }, logs: { type: 'string' },
    /** folder of scripts/ndb, whose nodes are attacked too */
    cluster: { type: 'string' },
    /** of all SQL nodes; TEST_DATABASE_URL is the first of them */
    urls: { type: 'string' },
  },
});

const lengthMs = Number(values.minutes) * 60_000;
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const attacked = (values.attack?.split(',') ?? groups) as Group[];
for (const group of attacked) if (!groups.includes(group)) throw new Error(`--attack takes ${groups.join(', ')}, not ${group}`);
const began = Date.now();
const log = (line: string): void => void process.stderr.write(`${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s  ${line}\n`);
if (values.logs !== undefined) await mkdir(values.logs, { recursive: true });

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

let lab: Lab | undefined;
let site: Site | undefined;
try {
  lab = values.fake ? undefined : await startLab({ hosts: Number(values.hosts), ttlSeconds: Math.ceil(lengthMs / 1000) + 1800 });
  site = lab === undefined ? await fakeSite(Number(values.hosts)) : await labSite(lab);
  const name = new URL(site.databaseUrl).pathname;
  const databaseUrl = (values.urls ?? site.databaseUrl).split(',').map((url) => Object.assign(new URL(url), { pathname: name }).href).join(',');
  const report = await soak({
    site, databaseUrl, nodes: values.cluster === undefined ? [] : clusterTargets(values.cluster), portals: Number(values.portals), users: Number(values.users), machinesPerUser: Number(values.machines),
    lengthMs, seed, attacked, everyMs: [10_000, 20_000], awayMs: [6000, 35_000], pauseMs: [500, 4000], pollMs: 10_000, settleMs: 300_000, ...(values.logs === undefined ? {} : { logFolder: values.logs }), log,
  });
  const text = renderReport(report);
  process.stdout.write(text);
  if (values.report !== undefined) await writeFile(values.report, text);
  process.exitCode = holds(report) ? 0 : 1;
} finally {
  await site?.close();
  await lab?.stop();
}
