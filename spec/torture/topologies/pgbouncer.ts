import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptOptions, downloadPackage, unpackOnce } from '../../support/debian-packages';
import { freePort } from '../../support/free-port';
import { ASKS_FOR_TLS, ServerProcess } from '../../support/server-process';
import { PostgresServer } from '../postgres-server';
import type { TortureServer } from '../server';
import type { Topology } from './index';

/** The packages are kept from one start to the next. */
const KEPT = join(process.cwd(), '.tmp', 'pgbouncer');

export const PGBOUNCER: Topology = {
  db: 'postgresql',
  words: 'PgBouncer in transaction mode before PostgreSQL; a restart is that of PostgreSQL',
  start: (directory) => PgBouncer.start(directory),
};

/** A PgBouncer and the PostgreSQL behind it, both our own. */
class PgBouncer implements TortureServer {
  readonly sharesSessions = true;
  readonly user: string;
  readonly password: string;
  readonly mainDb: string;

  private constructor(
    private readonly pooler: ServerProcess,
    private readonly server: PostgresServer,
    readonly port: number,
  ) {
    const { user, password, mainDb } = server;
    this.user = user;
    this.password = password;
    this.mainDb = mainDb;
  }

  static async start(directory: string): Promise<PgBouncer> {
    const command = await commandOfPgBouncer();
    const server = await PostgresServer.start(join(directory, 'postgres'), await freePort());
    const port = await freePort();
    const pooler = new ServerProcess([...command, configured(directory, port, server)], port, ASKS_FOR_TLS);
    const both = new PgBouncer(pooler, server, port);
    await pooler.launch().catch(async (error) => {
      await both.stop();
      throw error;
    });
    return both;
  }

  restart(how: 'crash' | 'shutdown'): Promise<void> {
    return this.server.restart(how);
  }

  async stop(): Promise<void> {
    await this.pooler.end('SIGTERM');
    await this.server.stop();
  }
}

/** Write the configuration; returns the path of its file. */
function configured(directory: string, port: number, { user, password, port: behind }: PostgresServer): string {
  const lines = [
    '[databases]',
    `* = host=127.0.0.1 port=${behind} user=${user} password=${password}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'syslog = 0',
    // Whoever comes is let in, as the user above.
    'auth_type = any',
    'pool_mode = transaction',
    // Enough for all workers at once: what waits for a connection is not what is tried here.
    'default_pool_size = 20',
    'max_client_conn = 400',
    // PostgreSQL is back a moment after it has gone; the default asks it again after 15 seconds.
    'server_login_retry = 1',
    // PgBouncer refuses to run as root.
    ...(process.getuid?.() === 0 ? ['user = nobody'] : []),
  ];
  const place = join(directory, 'pgbouncer');
  mkdirSync(place, { recursive: true });
  const file = join(place, 'pgbouncer.ini');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

/** PgBouncer as it is installed, or else from its packages. */
async function commandOfPgBouncer(): Promise<[program: string, ...args: string[]]> {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  const installed = places.map((place) => join(place, 'pgbouncer')).find((path) => existsSync(path));
  if (installed) return [installed];
  const root = await unpackOnce(KEPT, (apt) => downloadPackage(apt, 'pgbouncer', aptOptions(apt))).catch((cause) => {
    throw new Error('no PgBouncer here, and apt does not get it. To have it: apt-get install pgbouncer', { cause });
  });
  const libraries = readdirSync(join(root, 'usr/lib'))
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => join(root, 'usr/lib', name));
  return ['env', `LD_LIBRARY_PATH=${libraries.join(':')}`, join(root, 'usr/sbin/pgbouncer')];
}
