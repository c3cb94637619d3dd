import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';

/** The least and the most that a statement takes longer, in ms, there and back together. */
export type Latency = readonly [least: number, most: number];

/** One way of a statement. */
function oneWayMs([least, most]: Latency): number {
  return (least + Math.random() * (most - least)) / 2;
}

/** A server as it would be seen from further away: a proxy on this host that hands everything on late, in order. */
export class FarServer {
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((near) => this.join(near));

  private constructor(
    private readonly target: { readonly host: string; readonly port: number },
    private readonly latency: Latency,
  ) {}

  static async start(target: { readonly host: string; readonly port: number }, latency: Latency): Promise<FarServer> {
    const far = new FarServer(target, latency);
    await once(far.server.listen(0, '127.0.0.1'), 'listening');
    return far;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await once(this.server.close(), 'close');
  }

  private join(near: Socket): void {
    const far = connect(this.target);
    this.forward(near, far);
    this.forward(far, near);
  }

  private forward(source: Socket, target: Socket): void {
    this.sockets.add(source.setNoDelay(true));
    let last = Promise.resolve();
    let lastAt = 0;
    source.on('data', (chunk) => {
      // A chunk never overtakes the one before, but need not wait for it to arrive before it sets out.
      lastAt = Math.max(lastAt, performance.now() + oneWayMs(this.latency));
      const arrival = delay(lastAt - performance.now());
      last = last.then(() => arrival).then(() => void target.write(chunk));
    });
    source.on('close', () => {
      this.sockets.delete(source);
      target.destroy();
    });
    source.on('error', () => target.destroy());
  }
}

/** Any method of a driver's connection. */
type Statement = (...args: unknown[]) => Promise<unknown>;

/** Have an ORM whose database is a file answer late: half of the time passes before a statement runs, half after. */
export function slowDown(orm: MikroORM, latency: Latency): void {
  const connection = orm.em.getConnection() as unknown as Record<'execute' | 'begin' | 'commit', Statement>;
  for (const name of ['execute', 'begin', 'commit'] as const) {
    const run = connection[name].bind(connection);
    connection[name] = async (...args) => {
      await delay(oneWayMs(latency));
      try {
        return await run(...args);
      } finally {
        await delay(oneWayMs(latency));
      }
    };
  }
}
