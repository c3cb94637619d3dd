import { connectMaria, connectPostgres, connectSqlite } from '../bare/connection';
import { BareStore } from '../bare/store';
import type { BenchDatabase } from '../databases';
import { createTables } from './ours';
import { POOL_SIZE, type Subject } from './subject';

/** The hand-written store on the same tables. */
export async function openBare(target: BenchDatabase): Promise<Subject> {
  await createTables(target);
  const connection = connect(target);
  return { name: 'bare', store: new BareStore(connection), close: () => connection.close() };
}

function connect({ database, name, login, poolSize = POOL_SIZE }: BenchDatabase) {
  if (!login || database === 'sqlite') return connectSqlite(name);
  const options = { ...login, database: name };
  return database === 'postgresql' ? connectPostgres(options, poolSize) : connectMaria(database, options, poolSize);
}
