// Runs test files with node's own runner in the order given, so many at a time:   node … run-tests.mjs CONCURRENCY SUMMARY FILE…
// (`node --test` sorts them by name: a long one near the end of the alphabet would then run on alone.) Tells all on stdout, and
// to the file SUMMARY what summary-reporter.mjs finds worth it. Ends with 1 when a test failed.
import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { compose } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import summary from './summary-reporter.mjs';

const [concurrency, summaryFile, ...files] = process.argv.slice(2);
/** of a file; what hangs is ended */
const timeout = 600_000;

const events = run({ files: files.map((file) => resolve(file)), concurrency: Number(concurrency), timeout });
events.on('test:fail', () => { process.exitCode = 1; });
compose(events, new spec()).pipe(process.stdout);
compose(events, summary).pipe(createWriteStream(summaryFile));
