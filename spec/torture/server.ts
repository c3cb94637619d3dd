import { join } from 'node:path';
import { freePort } from '../support/free-port';
import { MySqlServer } from '../support/mysql-server';
import { MARIADB, MYSQL, type ServerKind } from '../support/server-kinds';
import { reachable } from '../support/servers';
import { MariaDbServer, mariaDbBinary } from './mariadb-server';
import type { Options } from './options';
import { PostgresServer } from './postgres-server';
import { TOPOLOGIES, type Topology } from './topologies';

/** A database server that the torture may ill-treat. */
export interface TortureServer {
  /** Where clients are to go now; a fail-over may change it. */
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The database to connect to before there is one of our own. */
  readonly mainDb: string;
  /** A pooler lends sessions to clients: the port that a client comes from is not that of its session. */
  readonly sharesSessions?: boolean;
  /** Absent where the server is not ours to restart: end it by crash or in order, and start it again. */
  restart?(how: 'crash' | 'shutdown'): Promise<void>;
  /** Stop what was started. */
  stop(): Promise<void>;
}

/** Start a server of our own for this kind of database, or find one; SQLite has none. */
export async function startServer(
  { db, topology }: Pick<Options, 'db' | 'topology'>,
  directory: string,
): Promise<TortureServer | undefined> {
  if (topology !== undefined) return (TOPOLOGIES[topology] as Topology).start(directory);
  if (db === 'sqlite') return undefined;
  if (db === 'postgresql') return PostgresServer.start(join(directory, 'postgres'), await freePort());
  if (db === 'mysql') return MySqlServer.start(await freePort()).catch((error) => found(MYSQL, error.message));
  const binary = mariaDbBinary();
  if (binary) return MariaDbServer.start(binary, join(directory, 'mariadb'), await freePort());
  return found(MARIADB, 'mariadbd is not installed');
}

/** A server that others may use too. */
async function found(kind: ServerKind, why: string): Promise<TortureServer> {
  const url = await reachable(kind);
  if (!url) throw new Error(`no ${kind.label} server: ${why}. To have one: ${kind.start}`);
  const { hostname, port, username, password, pathname } = new URL(url);
  if (hostname !== '127.0.0.1' && hostname !== 'localhost') throw new Error('the torture only talks to this machine');
  return {
    port: Number(port) || 3306,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    mainDb: pathname.slice(1),
    stop: async () => undefined,
  };
}
