import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as macrotask } from 'node:timers/promises';

interface Trap {
  readonly pattern: RegExp;
  readonly meanwhile: () => Promise<unknown>;
  readonly done: (error?: unknown) => void;
}

/**
 * A TCP proxy that can steal the answer to one statement: the server gets the statement and carries it out, somebody else acts,
 * and then the connection is cut before the caller has heard anything.
 */
export class Thief {
  private readonly sockets = new Set<Socket>();
  private trap: Trap | undefined;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async before(host: string, port: number): Promise<Thief> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const thief = new Thief(server, (server.address() as { port: number }).port);
    server.on('connection', (client) => thief.link(client, connect(port, host)));
    return thief;
  }

  /** Steal the answer to the next statement like `pattern`, and let `meanwhile` happen after it took effect. */
  steal(pattern: RegExp, meanwhile: () => Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      this.trap = { pattern, meanwhile, done };
    });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private link(client: Socket, upstream: Socket): void {
    let sprung: Trap | undefined;
    const end = () => {
      client.destroy();
      upstream.destroy();
      this.sockets.delete(client);
      this.sockets.delete(upstream);
    };
    for (const socket of [client, upstream]) {
      this.sockets.add(socket);
      socket.setNoDelay(true).on('error', end).on('close', end);
    }
    client.on('data', (data) => {
      if (this.trap?.pattern.test(data.toString('latin1'))) [sprung, this.trap] = [this.trap, undefined];
      upstream.write(data);
    });
    let isStolen = false;
    upstream.on('data', (data) => {
      if (!sprung) return void client.write(data);
      if (isStolen) return;
      isStolen = true;
      const { meanwhile, done } = sprung;
      // The server answers when it has carried the statement out.
      void macrotask()
        .then(meanwhile)
        .then(() => done(), done)
        .finally(end);
    });
  }
}
