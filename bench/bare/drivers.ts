/** The parts of the database drivers that the benchmark uses; two of them come without types. */

export type Value = string | number | null;
export type Row = Record<string, unknown>;

export interface SqliteStatement {
  readonly reader: boolean;
  all(...params: Value[]): Row[];
  run(...params: Value[]): { changes: number };
}

export interface SqliteConnection {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): void;
  pragma(text: string, options?: { simple: boolean }): unknown;
  close(): void;
}

export interface PgQuery {
  text: string;
  values?: readonly Value[];
  /** Prepared once per connection under this name. */
  name?: string;
}

export interface PgClient {
  query(query: PgQuery | string): Promise<{ rows: Row[]; rowCount: number }>;
}

export interface PgPool extends PgClient {
  connect(): Promise<PgClient & { release(): void }>;
  end(): Promise<void>;
}

export interface MariaClient {
  /** Text protocol. */
  query(sql: string, params?: readonly Value[]): Promise<unknown>;
  /** Server-side prepared statement, kept per connection. */
  execute(sql: string, params?: readonly Value[]): Promise<unknown>;
}

export interface MariaPool extends MariaClient {
  getConnection(): Promise<MariaClient & { release(): Promise<void> }>;
  end(): Promise<void>;
}

/** Where a server is and which database. */
export interface ServerOptions {
  readonly host: string;
  readonly port?: number | undefined;
  readonly user: string;
  readonly password?: string | undefined;
  readonly database: string;
}

export function openSqlite(file: string): SqliteConnection {
  const Database = require('better-sqlite3') as new (file: string) => SqliteConnection;
  return new Database(file);
}

export function openPgPool(options: ServerOptions, max: number): PgPool {
  const { Pool } = require('pg') as { Pool: new (options: ServerOptions & { max: number }) => PgPool };
  return new Pool({ ...options, max });
}

export function openMariaPool(options: ServerOptions, connectionLimit: number): MariaPool {
  const { createPool } = require('mariadb') as { createPool: (options: object) => MariaPool };
  return createPool({ ...defined(options), connectionLimit, timezone: 'Z', checkDuplicate: false });
}

/** This driver takes a present `undefined` for a value. */
function defined(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
