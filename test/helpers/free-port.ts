// A port for a server of another process. It lies outside the range from which the system gives ports to connections and to
// servers that do not care: between this look and that server's start nobody gets it by chance.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    } catch {
      // somebody has it
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error('no free port was found');
}
