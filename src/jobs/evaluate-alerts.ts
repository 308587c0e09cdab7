// Looks whether any alert rule holds, and writes what is to be told. What it reads are samples and states in the database: it
// asks no host.
import type { OperationDeps } from '../operations/deps.ts';
import { evaluateAlerts as evaluate } from '../operations/incidents.ts';

export interface EvaluateDeps extends Pick<OperationDeps, 'db' | 'clock' | 'log'> {
  readonly pollIntervalMs: number;
  readonly mailEnabled: boolean;
  /** of all jobs, milliseconds */
  readonly jobPeriods: ReadonlyMap<string, number>;
}

export async function evaluateAlerts({ db, clock, log, ...more }: EvaluateDeps): Promise<void> {
  const result = await evaluate({ db, ...more }, clock.now());
  if (result.opened > 0 || result.resolved > 0) log.info(result, 'incidents');
}
