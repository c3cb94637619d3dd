import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { repeated } from './texts';

/** A change of many runs that leaves out those somebody else has locked. */
export interface UnlockedChange {
  /** The runs, each once. */
  readonly runIds: readonly string[];
  /** A select of the `id` of those the change may be made to, and its parameters. */
  readonly lock: string;
  readonly lockParams: readonly Param[];
  /** The assignments of an update, and their parameters. */
  readonly set: string;
  readonly setParams: readonly Param[];
}

/**
 * Make a change to the runs it may be made to and that nobody has locked; nobody waits for the others. Needs a transaction,
 * unless the database updates what it locks. Returns the runs it changed.
 */
export async function changeUnlocked(
  sql: Sql,
  { runs }: Tables,
  { runIds, lock, lockParams, set, setParams }: UnlockedChange,
): Promise<ReadonlySet<string>> {
  const update = `update ${runs.name} set ${set} where ${runs.column('id')} in `;
  const locking = `${lock}${sql.dialect.forUpdateSkipLocked}`;
  if (sql.dialect.updatesWhatItLocks) {
    const text = `${update}(${locking}) returning ${runs.select('id')}`;
    return idsOf(await sql.rows(text, [...setParams, ...lockParams]));
  }
  const locked = idsOf(await sql.rows(locking, lockParams));
  const ids = runIds.filter((runId) => locked.has(runId));
  if (ids.length > 0) await sql.run(`${update}(${repeated('?', ids.length)})`, [...setParams, ...ids]);
  return locked;
}

/** A value for each of `count` runs: their ids and values are the parameters, in turns. No other run gets to `otherwise`. */
export function valueOfEach({ runs }: Tables, count: number, otherwise: string, value = '?'): string {
  return `case ${runs.column('id')} ${repeated(`when ? then ${value}`, count, ' ')} else ${otherwise} end`;
}

/** A column's new value for each of `count` runs. The column itself at the end gives the whole its type. */
export function columnOfEach(tables: Tables, count: number, column: string): string {
  return `${column} = ${valueOfEach(tables, count, column)}`;
}

function idsOf(rows: readonly Record<string, unknown>[]): ReadonlySet<string> {
  return new Set(rows.map(({ id }) => String(id)));
}
