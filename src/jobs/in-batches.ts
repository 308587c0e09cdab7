/** Rows of one statement: a big DELETE fails on MySQL Cluster. */
export const batchRows = 500;

/** Repeats a statement that takes one batch at a time until it finds less than a batch, or shall stop; how many rows it took in all. */
export async function inBatches(signal: AbortSignal, work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  let total = 0;
  for (;;) {
    const rows = await work(signal);
    total += rows;
    if (rows < batchRows || signal.aborted) return total;
  }
}
