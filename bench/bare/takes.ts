import type { DatabaseName } from '../options';
import type { Connection } from './connection';
import type { Row, Value } from './drivers';
import { takeOldest } from './statements';

/** How a row is removed and returned. */
export interface Takes {
  waiter(db: Connection, token: string): Promise<Row | undefined>;
  oldest(db: Connection, token: string): Promise<Row | undefined>;
}

const WAITERS = 'durable_signal_waiters';
const BUFFER = 'durable_buffered_signals';

export function takesOf(database: DatabaseName): Takes {
  if (database === 'mysql') return withoutReturning;
  const oldest = takeOldest(database);
  const first = async (db: Connection, sql: string, token: string) => (await db.rows(sql, [token]))[0];
  return {
    waiter: (db, token) => first(db, `delete from ${WAITERS} where token = ? returning *`, token),
    oldest: (db, token) => first(db, oldest, token),
  };
}

const withoutReturning: Takes = {
  waiter: (db, token) => locked(db, `from ${WAITERS} where token = ?`, token, ({ token }) => [WAITERS, 'token', token]),
  oldest: (db, token) => {
    const oldest = `from ${BUFFER} where token = ? and published_at is null order by id limit 1`;
    return locked(db, oldest, token, ({ id }) => [BUFFER, 'id', id]);
  },
};

function locked(
  db: Connection,
  from: string,
  token: string,
  row: (found: Row) => [table: string, column: string, value: unknown],
): Promise<Row | undefined> {
  return db.transaction(async (tx) => {
    const [found] = await tx.rows(`select * ${from} for update`, [token]);
    if (!found) return undefined;
    const [table, column, value] = row(found);
    await tx.affected(`delete from ${table} where ${column} = ?`, [value as Value]);
    return found;
  });
}
