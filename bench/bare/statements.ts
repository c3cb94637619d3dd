import type { DatabaseName } from '../options';
import type { Value } from './drivers';

export const RUNS = 'durable_workflow_runs';

export function insertInto(table: string, columns: readonly string[]): string {
  return `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`;
}

/** Replace `columns` of an existing row; with none, leave it alone. */
export function conflict(database: DatabaseName, keys: readonly string[], columns: readonly string[]): string {
  if (database === 'mariadb' || database === 'mysql') {
    const set =
      columns.length === 0 ? `${keys[0]} = ${keys[0]}` : columns.map((name) => `${name} = values(${name})`).join(', ');
    return ` on duplicate key update ${set}`;
  }
  const set = columns.map((name) => `${name} = excluded.${name}`).join(', ');
  return ` on conflict (${keys.join(', ')}) do ${columns.length === 0 ? 'nothing' : `update set ${set}`}`;
}

/** Delete and return the oldest buffered signal of a token in one statement; MySQL has none for it. */
export function takeOldest(database: Exclude<DatabaseName, 'mysql'>): string {
  const table = 'durable_buffered_signals';
  const oldest = `from ${table} where token = ? and published_at is null order by id limit 1`;
  switch (database) {
    case 'sqlite':
      return `delete from ${table} where id = (select id ${oldest}) returning payload`;
    case 'postgresql':
      return `delete from ${table} where id = (select id ${oldest} for update) returning payload`;
    case 'mariadb':
      return `delete ${oldest} returning payload`;
  }
}

/** Tokens that begin with a prefix, as a half-open range. */
export function tokenRange(prefix: string): { sql: string; params: Value[] } {
  if (prefix === '') return { sql: '1 = 1', params: [] };
  const next = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  return { sql: 'token >= ? and token < ?', params: [prefix, next] };
}
