// Long decoding shares the event loop: whoever has much to do takes turns, first come first served, one turn per round
// of the loop in the whole process. So forty hosts that answer at once cost each round no more than one of them does.

/** Longer: others wait longer for their turn of the loop (the product promises 10 ms). Shorter: rounds of the loop become the cost. */
const turnMs = 2;

const waiting: ((endsAt: number) => void)[] = [];

function serveNext(): void {
  waiting.shift()?.(performance.now() + turnMs);
  if (waiting.length > 0) setImmediate(serveNext);
}

/** Resolves when it is our turn, with the time by which to stop or to take another. */
export function takeTurn(): Promise<number> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(serveNext);
  });
}

export function turnIsSpent(endsAt: number): boolean {
  return performance.now() >= endsAt;
}
