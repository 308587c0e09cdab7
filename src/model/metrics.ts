// Measured values. Rates are over the time that really passed between two readings; null: not known for this sample.

export interface HostSample {
  readonly subjectId: number;
  readonly at: number;
  readonly cpuPercent: number | null;
  readonly memoryUsedMib: number | null;
  readonly memoryTotalMib: number | null;
}

export interface InstanceSample {
  readonly subjectId: number;
  readonly at: number;
  /** of the vCPUs it has: 100 = all of them busy */
  readonly cpuPercent: number | null;
  readonly memoryUsedMib: number | null;
  readonly diskReadBytesPerSecond: number | null;
  readonly diskWriteBytesPerSecond: number | null;
  readonly networkReceiveBytesPerSecond: number | null;
  readonly networkTransmitBytesPerSecond: number | null;
}

export interface PoolSample {
  readonly subjectId: number;
  readonly at: number;
  readonly capacityBytes: number;
  readonly availableBytes: number;
}

/** Past two polling periods a figure is stale and is shown as such. */
export function isStale(at: number, now: number, pollIntervalMs: number): boolean {
  return now - at > 2 * pollIntervalMs;
}
