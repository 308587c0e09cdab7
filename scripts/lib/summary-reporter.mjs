// A reporter for node:test that tells what is worth saying again at the end, one line each, its kind before a tab:
//   left-out  file: test: reason
//   failed    file: test: what it said
//   took      seconds file     (the sum of its tests; what loading the file takes is not in it)
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const firstLine = (text) => String(text).split('\n', 1)[0].trim();

// oxlint-disable-next-line import/no-default-export -- node:test finds a reporter by it
export default async function* summary(events) {
  const took = new Map();
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // of compiled tests node tells the source, where it knows it
    const file = data.file === undefined ? '' : relative(data.file.startsWith(root) ? root : process.cwd(), data.file).replace(/\.js$/, '.ts');
    if (data.nesting === 0) took.set(file, (took.get(file) ?? 0) + (data.details.duration_ms ?? 0));
    const leftOut = data.skip ?? data.todo;
    if (leftOut !== undefined) {
      yield `left-out\t${file}: ${data.name}: ${typeof leftOut === 'string' && leftOut !== '' ? leftOut : 'no reason given'}\n`;
    } else if (type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed') {
      const { error } = data.details;
      yield `failed\t${file}: ${data.name}: ${firstLine(error?.cause?.message ?? error?.message ?? 'no reason given')}\n`;
    }
  }
  for (const [file, milliseconds] of [...took].sort(([, one], [, other]) => other - one)) {
    yield `took\t${(milliseconds / 1000).toFixed(1)} ${file}\n`;
  }
}
