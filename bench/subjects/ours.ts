import type { MikroORM, Options } from '@mikro-orm/core';
import { ENTITIES, ensureMikroOrmDurableSchema, MikroOrmStateStore, type MikroOrmStateStoreOptions } from '../../lib';
import { connect } from '../../spec/support/databases';
import type { SqliteConnection } from '../bare/drivers';
import type { BenchDatabase } from '../databases';
import type { DatabaseName } from '../options';
import { POOL_SIZE, type Subject } from './subject';

const DRIVERS = {
  sqlite: 'better-sqlite',
  postgresql: 'postgresql',
  mariadb: 'mariadb',
  mysql: 'mysql',
} as const satisfies Record<DatabaseName, string>;

/** What every subject has on SQLite: readers beside the writer, and each commit on disk when it returns. */
const SQLITE_PRAGMAS = ['journal_mode = wal', 'synchronous = full'] as const;

/** This library on MikroORM 6. */
export async function openOurs(
  target: BenchDatabase,
  options?: MikroOrmStateStoreOptions,
  pragmas: readonly string[] = SQLITE_PRAGMAS,
): Promise<Subject> {
  const orm = await openOrm(target, target.login ? {} : { pool: { afterCreate: tuneSqlite(pragmas) } });
  const store = new MikroOrmStateStore(orm, options);
  await store.ensureSchema();
  return { name: 'ours', store, close: () => orm.close(true) };
}

/** An ORM with the five entities; SQLite in WAL mode, synced on each commit. */
export async function openOrm(target: BenchDatabase, extra: Options = {}): Promise<MikroORM> {
  return connect(DRIVERS[target.database], { entities: [...ENTITIES], ...connection(target), ...extra });
}

/** Create our tables in an empty database. */
export async function createTables(target: BenchDatabase): Promise<void> {
  const orm = await openOrm(target);
  await ensureMikroOrmDurableSchema(orm);
  await orm.close(true);
}

function connection({ name, login, poolSize = POOL_SIZE }: BenchDatabase): Options {
  if (!login) return { dbName: name, pool: { afterCreate: tuneSqlite(SQLITE_PRAGMAS) } };
  return { dbName: name, ...login, pool: { min: 0, max: poolSize } } as Options;
}

function tuneSqlite(pragmas: readonly string[]) {
  return (connection: SqliteConnection, done: (error: unknown, connection: unknown) => void): void => {
    for (const pragma of [...pragmas, 'busy_timeout = 5000']) connection.pragma(pragma);
    done(null, connection);
  };
}
