import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that systems give out by themselves: those of Linux begin at 32,768, those of others at 49,152. */
const FIRST = 10_000;
const LAST = 32_000;

/**
 * A port of 127.0.0.1 that nobody listens on, for a program that must be told its port before it starts. It is not one
 * that the system could give to another test before the program has it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const server = createServer();
    const isFree = once(server.listen(port, '127.0.0.1'), 'listening').then(
      () => true,
      () => false,
    );
    if (!(await isFree)) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
