// A short soak: two portals and three hosts that are killed and frozen for a minute, one by one and a machine with one of each,
// then the books are looked through. The long one, on real hosts and a real MySQL Cluster, is scripts/soak.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { holds, renderReport } from './report.ts';
import { fakeSite, type Site } from './site.ts';
import { soak } from './soak.ts';

let site: Site;
before(async () => { site = await fakeSite(3); });
after(() => site.close());

it('loses nothing while portals, hosts and whole machines are killed and frozen', async (t) => {
  const attacked = ['portal', 'host', 'machine'] as const;
  const report = await soak({
    site, databaseUrl: site.databaseUrl, nodes: [], portals: 2, users: 4, machinesPerUser: 3, lengthMs: 60_000, seed: Number(process.env['TEST_SOAK_SEED'] ?? 1),
    attacked, everyMs: [6000, 10_000], awayMs: [4000, 12_000], pauseMs: [200, 1200], pollMs: 5000, settleMs: 150_000, log: (line) => t.diagnostic(line),
  });
  assert.ok(report.journal.acknowledged.length > 20, 'they did something');
  assert.deepEqual(new Set(report.attacks.map(({ attack }) => attack.group)), new Set(attacked), 'and were disturbed');
  assert.ok(holds(report), renderReport(report));
});
