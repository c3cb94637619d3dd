import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';

interface Link {
  readonly client: Socket;
  readonly upstream: Socket;
}

const HOST = '127.0.0.1';

/** A TCP proxy on loopback whose connections can be cut, refused, slowed, stalled and robbed of their replies. */
export class TcpProxy {
  private readonly links = new Set<Link>();
  private server: Server | undefined;
  private port = 0;
  private stalledUntilMs = 0;
  private latencyMs = 0;
  private robbed = new WeakSet<Link>();

  constructor(private readonly upstreamPort: () => number) {}

  /** Begin to listen, on the same port each time; nothing to do when it listens. */
  async open(): Promise<number> {
    if (this.server) return this.port;
    const server = createServer((client) => this.connect(client));
    this.server = server;
    server.listen(this.port, HOST);
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    return this.port;
  }

  /** New connections are refused until {@link open}; those that exist stay. */
  refuse(): void {
    this.server?.close();
    this.server = undefined;
  }

  /** The local ports of the connections to the server, by which it knows its sessions. */
  get sessionPorts(): number[] {
    return [...this.links].map(({ upstream }) => upstream.localPort ?? 0).filter((port) => port > 0);
  }

  /** Destroy every connection that `chosen` says yes to; returns how many. */
  cut(chosen: () => boolean = () => true): number {
    const victims = [...this.links].filter(chosen);
    for (const link of victims) this.destroy(link);
    return victims.length;
  }

  /** From now on swallow what the server says on the present connections; returns the way to cut exactly these. */
  swallowReplies(): () => void {
    const victims = [...this.links];
    for (const link of victims) this.robbed.add(link);
    return () => {
      for (const link of victims) this.destroy(link);
    };
  }

  /** Forward nothing, in either direction, for this long. */
  stall(ms: number): void {
    this.stalledUntilMs = performance.now() + ms;
  }

  /** Hold every packet up for this long; 0 ends it. */
  delayBy(ms: number): void {
    this.latencyMs = ms;
  }

  close(): void {
    this.refuse();
    this.cut();
  }

  private connect(client: Socket): void {
    const link = { client, upstream: createConnection({ port: this.upstreamPort(), host: HOST }) };
    this.links.add(link);
    const end = () => this.destroy(link);
    for (const socket of [link.client, link.upstream]) socket.setNoDelay(true).on('error', end).on('close', end);
    client.pipe(this.hindrance()).pipe(link.upstream);
    link.upstream.pipe(this.hindrance(link)).pipe(client);
  }

  private destroy(link: Link): void {
    this.links.delete(link);
    link.client.destroy();
    link.upstream.destroy();
  }

  private hindrance(replies?: Link): Transform {
    return new Transform({
      transform: (chunk, _encoding, done) => {
        const waitMs = Math.max(this.stalledUntilMs - performance.now(), this.latencyMs);
        const pass = () => (replies && this.robbed.has(replies) ? done() : done(null, chunk));
        if (waitMs > 0) setTimeout(pass, waitMs);
        else pass();
      },
    });
  }
}
