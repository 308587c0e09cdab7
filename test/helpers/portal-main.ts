// The portal as it is, in a process of its own, with a clock that may be wrong. Started by portal-process.ts.
const offsetMs = Number(process.env['TEST_CLOCK_OFFSET_MS'] ?? 0);
if (offsetMs !== 0) {
  const now = Date.now;
  Date.now = () => now() + offsetMs;
}
await import('../../src/main.ts');
