// Numbers that grow with time at a rate that tests set, as the kernel's counters do.

export type Clock = () => number;

/** Adds `rate × elapsed seconds` whenever somebody looks; a changed rate counts from then on. */
export class Counter {
  private total = 0;
  private since: number;
  constructor(private readonly clock: Clock, private readonly ratePerSecond: () => number) {
    this.since = clock();
  }

  read(): number {
    const now = this.clock();
    this.total += (this.ratePerSecond() * (now - this.since)) / 1000;
    this.since = now;
    return Math.floor(this.total);
  }

  /** Forgets the time that passed; for a domain that did not run meanwhile. */
  restart(total = 0): void {
    this.total = total;
    this.since = this.clock();
  }
}

/** What a guest does, until told otherwise. Rates are per second; CPU is per cent of all its vCPUs. */
export interface GuestLoad {
  cpuPercent: number;
  memoryUsedMib: number;
  netReceivedBytes: number;
  netSentBytes: number;
  diskReadBytes: number;
  diskWrittenBytes: number;
}
