// Writes a tick's samples in batches that hosts share: thousands of small hosts must not make thousands of statements.
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { DeviceSample, HostSample, InstanceSample, PoolSample } from '../model/metrics.ts';
import type { Db } from '../store/db.ts';
import { insertDeviceSamples, upsertSampleDevices, type NewSampleDevice } from '../store/device-samples.ts';
import { batchRows, type NewSample } from '../store/sample-ring.ts';
import { insertHostSamples, insertInstanceSamples, insertPoolSamples } from '../store/samples.ts';

/** How long a batch that is not full waits for more: what was measured is on the pages that much later. */
const waitMs = 25;

/** Collects what is to be written and writes it while more comes in. */
class Batches<T> {
  readonly #pending: T[] = [];
  #running: Promise<void> | undefined;
  #failure: unknown;

  constructor(private readonly write: (batch: readonly T[]) => Promise<void>) {}

  add(items: readonly T[]): void {
    this.#pending.push(...items);
    if (this.#pending.length > 0) this.#running ??= this.#run();
  }

  /** Everything so far is written. Rejects with what went wrong since the last time. */
  async finish(): Promise<void> {
    await this.#running;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  async #run(): Promise<void> {
    while (this.#pending.length > 0) {
      if (this.#pending.length < batchRows) await delay(waitMs);
      try {
        await this.write(this.#pending.splice(0, batchRows));
      } catch (error) {
        this.#failure ??= error;
      }
    }
    this.#running = undefined;
  }
}

export class SampleWriter {
  readonly hosts: Batches<NewSample<HostSample>>;
  readonly instances: Batches<InstanceSample>;
  readonly devices: Batches<DeviceSample>;
  readonly deviceNames: Batches<NewSampleDevice>;
  readonly pools: Batches<PoolSample>;

  constructor({ db, clock }: { readonly db: Db; readonly clock: Clock }) {
    this.hosts = new Batches((batch) => insertHostSamples(db, batch));
    this.instances = new Batches((batch) => insertInstanceSamples(db, batch));
    this.devices = new Batches((batch) => insertDeviceSamples(db, batch));
    this.deviceNames = new Batches((batch) => upsertSampleDevices(db, batch, clock.now()));
    this.pools = new Batches((batch) => insertPoolSamples(db, batch));
  }

  async finish(): Promise<void> {
    await Promise.all([this.hosts, this.instances, this.devices, this.deviceNames, this.pools].map((batches) => batches.finish()));
  }
}
