import type { MikroORM, Options } from '@mikro-orm/core';
import { ENTITIES } from '../../lib';
import { connect, type Driver, type SqlEm, sql } from '../support/databases';
import type { DatabaseName } from './options';

/** How a process reaches the database; as JSON in a worker's environment. */
export interface Target {
  readonly db: DatabaseName;
  /** Database name, or the file of a SQLite database. */
  readonly dbName: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
}

export const ACCOUNTS = 8;

const DRIVERS: Record<DatabaseName, Driver> = {
  sqlite: 'better-sqlite',
  postgresql: 'postgresql',
  mariadb: 'mariadb',
  mysql: 'mysql',
};

/** The business: written by `ctx.transaction` alone, and without a key that would refuse a second charge. */
const TABLES = [
  'create table torture_charges (run_id varchar(200), step varchar(40), execution varchar(60), account integer)',
  'create table torture_accounts (id integer primary key, balance integer)',
];

/** Open an ORM with connections of its own. */
export function open(target: Target): Promise<MikroORM> {
  const { db, dbName, port, user, password } = target;
  const options: Options = { entities: [...ENTITIES], dbName };
  if (db === 'sqlite') return connect('better-sqlite', { ...options, pool: { afterCreate: tune } });
  // A worker may boot while nothing answers.
  const server = { host: '127.0.0.1', port, user, password, pool: { min: 0, max: 6 }, connect: false };
  return connect(DRIVERS[db], { ...options, ...server });
}

/** Readers must not block the writer, and waiting for the write lock holds up the whole process: keep it short. */
function tune(connection: { pragma(text: string): void }, done: (error: unknown, connection: unknown) => void): void {
  connection.pragma('journal_mode = wal');
  connection.pragma('busy_timeout = 500');
  done(null, connection);
}

/** Create the business tables with their accounts. */
export async function createBusiness(orm: MikroORM): Promise<void> {
  for (const table of TABLES) await sql(orm).execute(table, [], 'run');
  for (let id = 0; id < ACCOUNTS; id += 1) {
    await sql(orm).execute('insert into torture_accounts (id, balance) values (?, 0)', [id], 'run');
  }
}

/** Charge an account, in the transaction that `em` is in. */
export async function charge(
  em: SqlEm,
  { run, step, execution, account }: { run: string; step: string; execution: string; account: number },
): Promise<void> {
  const insert = 'insert into torture_charges (run_id, step, execution, account) values (?, ?, ?, ?)';
  await em.execute(insert, [run, step, execution, account], 'run');
  await em.execute('update torture_accounts set balance = balance + 1 where id = ?', [account], 'run');
}

/** What the server calls itself. */
export async function serverVersion(orm: MikroORM, db: DatabaseName): Promise<string> {
  const [row] = await sql(orm).execute<{ server: string }[]>(
    `select ${db === 'sqlite' ? 'sqlite_' : ''}version() as server`,
  );
  return String(row?.server);
}
