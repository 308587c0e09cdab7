// Measured load over the window → the admission gate, with its memory in the database.
import { nextGate } from '../model/threshold.ts';
import { loadClusterLoad } from '../operations/cluster.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { selectGate, updateGate } from '../store/gate.ts';
import { selectSettings } from '../store/settings.ts';

export async function evaluateGate({ db, clock, log }: Pick<OperationDeps, 'db' | 'clock' | 'log'>): Promise<void> {
  const now = clock.now();
  const settings = await selectSettings(db, log);
  const [gate, load] = await Promise.all([selectGate(db), loadClusterLoad(db, settings, now)]);
  // Starting the cloud, or one guest's boot, keeps the processors busy for seconds: that alone must not turn people away.
  const settled = load.coveredMs >= (settings.thresholds.windowSeconds * 1000) / 2;
  const next = nextGate(gate, settled ? load : { ...load, cpuPercent: null }, settings.thresholds, now);
  const stored = await updateGate(db, gate, next, now);
  if (stored && next.closed !== gate.closed) log.info({ closed: next.closed, reasons: next.reasons, load }, 'admission gate moved');
}
