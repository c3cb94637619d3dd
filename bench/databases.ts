import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../spec/support/free-port';
import { MySqlServer } from '../spec/support/mysql-server';
import { MARIADB, MYSQL, POSTGRES } from '../spec/support/server-kinds';
import { reachable, type StartedServer, startEmbeddedPostgres } from '../spec/support/servers';
import { openMariaPool, openPgPool, openSqlite, type Row, type ServerOptions } from './bare/drivers';
import type { DatabaseName } from './options';

type Login = Omit<ServerOptions, 'database'>;

/** A database system that can be had here. */
export interface Place {
  readonly database: DatabaseName;
  /** Absent for SQLite. */
  readonly login?: Login;
  /** Runs administrative statements. */
  readonly admin?: Omit<ServerOptions, never>;
  stop(): Promise<void>;
}

/** A database of the benchmark's own; `name` is its file for SQLite. Plain data: a worker process is started with it. */
export interface BenchDatabase {
  readonly database: DatabaseName;
  readonly name: string;
  readonly login?: Login;
  /** Connections of a subject, if not the usual number. */
  readonly poolSize?: number;
}

/** Where to find a database system, or `undefined` with a line that says how to have it. */
export async function locate(database: DatabaseName): Promise<Place | undefined> {
  if (database === 'sqlite') return { database, stop: async () => undefined };
  const kind = { postgresql: POSTGRES, mariadb: MARIADB, mysql: MYSQL }[database];
  const url = await reachable(kind);
  if (url) return place(database, { url, stop: async () => undefined });
  try {
    return place(database, await START[database]());
  } catch (error) {
    console.log(`${database}: left out, ${(error as Error).message}. To include it: ${kind.start}`);
    return undefined;
  }
}

/** Servers of our own, with their default durability. */
const START: Readonly<Record<Exclude<DatabaseName, 'sqlite'>, () => Promise<StartedServer>>> = {
  postgresql: startEmbeddedPostgres,
  mariadb: async () => {
    throw new Error('no server answers');
  },
  mysql: async () => MySqlServer.start(await freePort()),
};

function place(database: DatabaseName, server: StartedServer): Place {
  const url = new URL(server.url);
  const login = {
    host: url.hostname,
    port: Number(url.port) || undefined,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password) || undefined,
  };
  return { database, login, admin: { ...login, database: url.pathname.slice(1) }, stop: () => server.stop() };
}

/** Create an empty database named after what it is for. */
export async function createDatabase(place: Place, purpose: string): Promise<BenchDatabase> {
  const { database, login } = place;
  if (!login) return { database, name: join(mkdtempSync(join(tmpdir(), 'durable-bench-')), `${purpose}.sqlite`) };
  const name = `durable_bench_${purpose}_${process.pid}`;
  await dropDatabase(place, { database, name, login });
  await query({ database, name: place.admin?.database ?? '', login }, `create database ${name}`);
  return { database, name, login };
}

export async function dropDatabase(place: Place, { database, name, login }: BenchDatabase): Promise<void> {
  if (!login) return rmSync(join(name, '..'), { recursive: true });
  const force = database === 'postgresql' ? ' with (force)' : '';
  await query({ database, name: place.admin?.database ?? '', login }, `drop database if exists ${name}${force}`);
}

/** One statement on a connection of its own. */
export async function query(target: BenchDatabase, sql: string): Promise<Row[]> {
  const session = openSession(target);
  try {
    return await session.query(sql);
  } finally {
    await session.close();
  }
}

/** One connection for statements of any kind, outside of what is measured. */
export interface Session {
  query(sql: string): Promise<Row[]>;
  close(): Promise<void>;
}

export function openSession({ database, name, login }: BenchDatabase): Session {
  if (!login) {
    const db = openSqlite(name);
    return {
      query: async (sql) => {
        const statement = db.prepare(sql);
        if (statement.reader) return statement.all();
        statement.run();
        return [];
      },
      close: async () => db.close(),
    };
  }
  const options = { ...login, database: name };
  if (database === 'postgresql') {
    const pool = openPgPool(options, 1);
    return { query: async (sql) => (await pool.query(sql)).rows, close: () => pool.end() };
  }
  const pool = openMariaPool(options, 1);
  return { query: async (sql) => (await pool.query(sql)) as Row[], close: () => pool.end() };
}
