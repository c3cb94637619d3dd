import { isDuplicateKey } from './failures';
import type { Param, Sql } from './session';

/** Run an insert of one row unless its key is taken, and true if it went in. Needs a transaction if more is to follow. */
export async function insertIfAbsent(
  sql: Sql,
  insert: string,
  keys: readonly string[],
  params: readonly Param[],
): Promise<boolean> {
  if (!sql.dialect.countsChangedRows) {
    return (await sql.affected(insert + sql.dialect.ignoreConflict(keys), params)) === 1;
  }
  // MySQL counts an ignored duplicate as one row too; as an error it is unmistakable, and ends only its statement.
  try {
    return (await sql.affected(insert, params)) === 1;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}
