import type { DatabaseName } from '../options';
import {
  type MariaClient,
  openMariaPool,
  openPgPool,
  openSqlite,
  type PgClient,
  type Row,
  type ServerOptions,
  type SqliteConnection,
  type SqliteStatement,
  type Value,
} from './drivers';

/** A driver at its fastest: statements prepared once, `?` for parameters. */
export interface Connection {
  readonly database: DatabaseName;
  rows(sql: string, params: readonly Value[]): Promise<Row[]>;
  affected(sql: string, params: readonly Value[]): Promise<number>;
  transaction<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** better-sqlite3 with every statement prepared once; in WAL mode, synced on each commit. */
export function connectSqlite(file: string): Connection {
  const db = openSqlite(file);
  db.pragma('journal_mode = wal');
  db.pragma('synchronous = full');
  db.pragma('busy_timeout = 5000');
  return sqliteConnection(db);
}

function sqliteConnection(db: SqliteConnection): Connection {
  const prepared = once((sql: string): SqliteStatement => db.prepare(sql));
  const connection: Connection = {
    database: 'sqlite',
    rows: async (sql, params) => prepared(sql).all(...params),
    affected: async (sql, params) => prepared(sql).run(...params).changes,
    transaction: async (work) => {
      db.exec('begin immediate');
      try {
        const result = await work(connection);
        db.exec('commit');
        return result;
      } catch (error) {
        db.exec('rollback');
        throw error;
      }
    },
    close: async () => db.close(),
  };
  return connection;
}

/** `pg` with a pool and named prepared statements. */
export function connectPostgres(options: ServerOptions, poolSize: number): Connection {
  const pool = openPgPool(options, poolSize);
  return {
    ...postgresStatements(pool),
    transaction: async (work) => transaction(await pool.connect(), postgresStatements, work),
    close: () => pool.end(),
  };
}

let statements = 0;

const namedStatement = once((sql: string) => {
  let position = 0;
  statements += 1;
  return { name: `bare-${statements}`, text: sql.replace(/\?/g, () => `$${++position}`) };
});

function postgresStatements(client: PgClient) {
  return {
    database: 'postgresql' as const,
    rows: async (sql: string, values: readonly Value[]) =>
      (await client.query({ ...namedStatement(sql), values })).rows,
    affected: async (sql: string, values: readonly Value[]) =>
      (await client.query({ ...namedStatement(sql), values })).rowCount,
  };
}

/** `mariadb` with a pool and server-side prepared statements, on either server it speaks to. */
export function connectMaria(database: 'mariadb' | 'mysql', options: ServerOptions, poolSize: number): Connection {
  const pool = openMariaPool(options, poolSize);
  const statements = (client: MariaClient) => mariaStatements(database, client);
  return {
    ...statements(pool),
    transaction: async (work) => transaction(await pool.getConnection(), statements, work),
    close: () => pool.end(),
  };
}

function mariaStatements(database: 'mariadb' | 'mysql', client: MariaClient) {
  return {
    database,
    rows: async (sql: string, params: readonly Value[]) => (await client.execute(sql, params)) as Row[],
    affected: async (sql: string, params: readonly Value[]) =>
      ((await client.execute(sql, params)) as { affectedRows: number }).affectedRows,
  };
}

type Statements = Pick<Connection, 'database' | 'rows' | 'affected'>;

/** A transaction on a connection that is let go after it. */
async function transaction<Client extends { query(sql: string): Promise<unknown>; release(): unknown }, T>(
  client: Client,
  statements: (client: Client) => Statements,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  try {
    await client.query('begin');
    const result = await work({ ...statements(client), transaction: nested, close: async () => undefined });
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    await client.release();
  }
}

async function nested(): Promise<never> {
  throw new Error('transactions do not nest here');
}

function once<Result>(make: (key: string) => Result): (key: string) => Result {
  const made = new Map<string, Result>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const result = make(key);
    made.set(key, result);
    return result;
  };
}
