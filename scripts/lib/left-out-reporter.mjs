// A reporter for node:test that tells only what was not run, one line each: "file: test: reason".
import { relative } from 'node:path';

// oxlint-disable-next-line import/no-default-export -- node:test finds a reporter by it
export default async function* leftOut(events) {
  for await (const { type, data } of events) {
    if ((type !== 'test:pass' && type !== 'test:fail') || (data.skip === undefined && data.todo === undefined)) continue;
    const reason = data.skip ?? data.todo;
    const file = data.file === undefined ? '' : `${relative(process.cwd(), data.file)}: `;
    yield `${file}${data.name}: ${typeof reason === 'string' && reason !== '' ? reason : 'no reason given'}\n`;
  }
}
