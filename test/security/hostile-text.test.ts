// Whatever text stands in an address, a query or a form, the answer is a page or a refusal in words, and the text stays text.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makeRecords, type Records } from '../api/records.ts';
import { loggedIn } from '../helpers/accounts.ts';
import type { Client } from '../helpers/portal.ts';
import { allRoutes, type Route } from '../../src/web/routes.ts';

const markup = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
const texts = ['é機器😀', '\u0000', "' OR 1=1 -- ", '%_', '../../etc/passwd', markup, '1e309', '-1', '9'.repeat(400), '__proto__', '$t(errors.bug){{name}}', '\r\nX-Evil: 1', '<%= 7*7 %>', 'x'.repeat(3000)];
const queryNames = ['page', 'search', 'q', 'state', 'who', 'action', 'result', 'from', 'until', 'pool', 'volume', 'instances', 'minutes', 'next', 'vcpus', 'memoryMib', 'diskGib', 'imageId', 'use', 'name', 'pageSize', 'owner', 'kind', 'host', 'instance'];
const fieldNames = [
  'name', 'displayName', 'email', 'password', 'passwordAgain', 'role', 'scope', 'days', 'tokenName', 'language', 'next', 'subject', 'body', 'uri', 'network', 'consoleAddress', 'virtTypeWish',
  'pool', 'volume', 'format', 'minMemoryMib', 'vcpus', 'memoryMib', 'diskGib', 'direction', 'answer', 'group', 'version', 'instances', 'imageId', 'instanceId', 'sshKey', 'userData', 'use', 'flavour', 'description',
];

describe('hostile text', () => {
  let records: Records;
  let clients: { user: Client; admin: Client };
  let routes: Route[];
  before(async () => {
    records = await makeRecords();
    clients = { user: await loggedIn(records.portal, 'user'), admin: await loggedIn(records.portal, 'admin') };
    for (const client of Object.values(clients)) await client.get('/about');
    // those that end the session would leave the rest to a visitor; the stream does not end by itself
    routes = allRoutes(records.portal.deps).filter((route) => !['/logout', '/account/sessions/end', '/events'].includes(route.path));
  });
  after(() => records.portal.close());

  async function ask(route: Route, path: string, body?: URLSearchParams | string): Promise<void> {
    const client = route.access === 'admin' ? clients.admin : clients.user;
    const answer = await client.request(path, {
      method: route.method.toUpperCase(), headers: { accept: 'text/html', 'x-csrf-token': client.csrfToken, ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}) },
      ...(body === undefined ? {} : { body }),
    });
    const html = await answer.text();
    assert.ok(answer.status < 500, `${answer.status} ${route.method} ${path.slice(0, 200)}`);
    assert.ok(!html.includes('<script>alert') && !html.includes('<img src=x'), `unescaped: ${route.method} ${path.slice(0, 200)}`);
    assert.equal(answer.headers.get('x-evil'), null);
  }
  const realPath = (route: Route): string => route.path.replace(':id', crypto.randomUUID()).replace(':action', 'start').replace(':token', 'x');

  it('in an address is not found', async () => {
    for (const route of routes.filter(({ path }) => path.includes(':'))) {
      for (const text of texts) await ask(route, route.path.replace(/:\w+/g, encodeURIComponent(text)), route.method === 'get' ? undefined : new URLSearchParams());
    }
  });

  it('in a query is looked for, or ignored', async () => {
    for (const route of routes.filter(({ method }) => method === 'get')) {
      for (const text of texts) await ask(route, `${realPath(route)}?${queryNames.map((name) => `${name}=${encodeURIComponent(text)}`).join('&')}`);
      await ask(route, `${realPath(route)}?${queryNames.map((name) => `${name}=1&${name}=2&${name}[x]=3`).join('&')}`);
    }
  });

  it('in a form is refused or kept, also as JSON and when fields are sent twice', async () => {
    for (const route of routes.filter(({ method }) => method !== 'get')) {
      for (const text of texts) await ask(route, realPath(route), new URLSearchParams(Object.fromEntries(fieldNames.map((name) => [name, text]))));
      await ask(route, realPath(route), new URLSearchParams(fieldNames.flatMap((name): [string, string][] => [[name, markup], [name, 'second']])));
      await ask(route, realPath(route), JSON.stringify(Object.fromEntries(fieldNames.map((name) => [name, { length: 1, x: [markup] }]))));
    }
  });

  it('finds an instance by a part of its name in any letters, and nothing by letters that no name has', async () => {
    assert.match((await clients.user.get('/instances?search=MIN')).text, /href="\/instances\/[0-9a-f-]{36}"/);
    assert.doesNotMatch((await clients.user.get('/instances?search=機器')).text, /href="\/instances\/[0-9a-f]{8}-/);
  });
});
