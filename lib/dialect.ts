import type { Platform } from '@mikro-orm/core';
import { MYSQL_COLLATIONS, type MySqlCollation } from '../schemas/columns';
import { type Database, databaseOf, SUPPORTED_DATABASES } from '../schemas/database';
import { INDEXED_CHARACTERS } from '../schemas/run-attribute';
import { DurableConfigurationError } from './errors';
import {
  assertMysqlSettings,
  assertPostgresqlSettings,
  hasSeveralPrimaries,
  isClustered,
  logsStatements,
  PROBES,
  type ServerSettings,
} from './server-settings';
import { repeated } from './texts';

/** How one database says the few things that SQL dialects say differently. Expressions take and give quoted SQL. */
export interface Dialect {
  readonly database: Database;
  /** The expression that puts text in code point order, whatever the column's own collation. */
  bytewise(column: string): string;
  /** Conflict clause of an insert that leaves an existing row alone. */
  ignoreConflict(keys: readonly string[]): string;
  /** Conflict clause of an insert that replaces `columns` of an existing row. */
  replaceConflict(keys: readonly string[], columns: readonly string[]): string;
  /** How such an insert names a column of the row it brings. */
  added(column: string): string;
  /**
   * The same for rows that fulfil `condition`; others stay. Its parameters are needed `times` over. MySQL assigns one column
   * after the other and asks each time: `afterwards` is the condition once the first column is assigned.
   */
  replaceConflictIf(
    keys: readonly string[],
    columns: readonly string[],
    condition: string,
    afterwards?: string,
  ): { text: string; times: number };
  /** Condition with one parameter, the {@link tagOperand}: the JSON array holds exactly this string. */
  hasTag(column: string): string;
  tagOperand(tag: string): string;
  /** Condition with `count` such parameters: the array holds one of them; absent: {@link hasTag} of each. */
  hasAnyTag?(column: string, count: number): string;
  /** Extra condition, with one parameter, that lets an index over leading characters serve `column operator ?`. */
  leadingText(column: string, operator: string): string | undefined;
  /** The same for equality with one of `count` parameters; absent: the index serves the column itself. */
  leadingTexts?(column: string, count: number): string;
  /** Whether indexes have the runs of a status and time in the order of their ids, so that a limit needs no sorting. */
  readonly ordersById: boolean;
  /** Whether a page is found by keys alone and its rows read after it, because skipping over whole rows is dear. */
  readonly readsPagesLate: boolean;
  /** `limit`/`offset` clause and its parameters. */
  page(limit: number | undefined, offset: number): { text: string; params: number[] };
  /** One row `(n, answer)` for each of `count` parameters: its number from 0, and what `ask` selects about it, a single value. */
  askEach(count: number, ask: (parameter: string) => string): string;
  /** Whether rows of parameters can be named as a table without comparing their text in another way than columns do. */
  readonly namesRows: boolean;
  /** Suffix that locks the rows a select inside a transaction returns. */
  readonly forUpdate: string;
  /** The same, without the rows that somebody else has locked; `undefined` where the database cannot leave them out. */
  readonly forUpdateSkipLocked: string | undefined;
  /** Whether an update can lock its rows by a subquery and return them, so that it needs no transaction around the two. */
  readonly updatesWhatItLocks: boolean;
  /** The same, beside others that do so too. */
  readonly forShare: string;
  /**
   * Suffix that makes a select under the lock of its run see what was committed last. Inside a transaction of the host MySQL
   * shows what its first read saw; elsewhere the lock itself fails when the run has changed since.
   */
  readonly asCommitted: string;
  /** Whether a transaction that begins with a read must take the write lock first. */
  readonly writesFirst: boolean;
  /** Whether a write waits for every other in any case, so that nobody waits longer for sharing a transaction. */
  readonly oneWriter: boolean;
  /** Whether the server is one of several that take writes, on which `create table` from two at once brings all of them to a stand. */
  readonly severalPrimaries: boolean;
  /**
   * Whether calls begin in the next turn of the event loop. A driver that answers within the call (better-sqlite3) would
   * otherwise keep a long turn in microtasks, and no timer of the process would fire, the renewal of leases included.
   */
  readonly beginsNextTurn: boolean;
  /** Isolation level for multi-statement transactions; `undefined` where the database has only one. */
  readonly isolation: 'read committed' | 'repeatable read' | undefined;
  /**
   * How to learn whether a conditional write hit a row: `'count'` trusts the driver's affected rows, `'rows'` makes the
   * statement return one row each.
   */
  readonly effect: 'count' | 'rows';
  /** Statement prefix without which a driver withholds the rows a `delete … returning` returns. */
  readonly deletePrefix: string;
  /** Whether affected rows may count changed rather than matched rows, so that zero needs a second look. */
  readonly countsChangedRows: boolean;
  /** Question to the server that {@link withServer} needs answered; `undefined`: nothing to ask. */
  readonly probe: string | undefined;
  /** How the oldest buffered signal leaves the table. */
  readonly takeOldest: 'delete-limit' | 'delete-subquery' | 'delete-locked' | 'lock-delete';
  /** The server's name for a bytewise collation that does not ignore trailing spaces, where names differ by server. */
  readonly collation?: MySqlCollation;
  /**
   * What a delete returns in place of a JSON column: its text, and where that may be no JSON the whole statement fails, so that
   * nothing is deleted unread. Exact the one way only: some JSON of JavaScript's fails it too, and is read before it is deleted.
   */
  jsonOrFail(column: string): string;
  /** The same for a column of numbers. */
  numberOrFail(column: string): string;
  /** Whether `delete … returning` exists. */
  readonly returning: boolean;
}

/**
 * The dialect of a platform, before its server was asked.
 *
 * @throws DurableConfigurationError `DURABLE_UNSUPPORTED_DATABASE`
 */
export function dialectOf(platform: Platform): Dialect {
  switch (databaseOf(platform)) {
    case 'sqlite':
      return sqlite;
    case 'postgresql':
      return postgresql;
    case 'mysql':
      return mysql;
    default:
      throw new DurableConfigurationError(
        'DURABLE_UNSUPPORTED_DATABASE',
        `the durable store runs on ${SUPPORTED_DATABASES}; this ORM uses ${platform.constructor.name}`,
      );
  }
}

/**
 * The dialect of the server that answered.
 *
 * @throws DurableConfigurationError `DURABLE_UNSUPPORTED_SQL_MODE`, `DURABLE_UNSUPPORTED_SETTING` or `DURABLE_MISSING_GRANT`
 */
export function withServer(dialect: Dialect, settings: ServerSettings): Dialect {
  switch (dialect.database) {
    case 'sqlite':
      return dialect;
    case 'postgresql':
      assertPostgresqlSettings(settings);
      return dialect;
    case 'mysql':
      assertMysqlSettings(settings);
      return {
        ...ofVersion(dialect, settings),
        severalPrimaries: hasSeveralPrimaries(settings),
        ...(logsStatements(settings) ? { isolation: 'repeatable read' } : {}),
      };
  }
}

function ofVersion(dialect: Dialect, settings: ServerSettings): Dialect {
  const version = settings.get('version') ?? '';
  if (!/mariadb/i.test(version)) return dialect;
  const ofServer = isAtLeast(version, 10, 6) ? mariadb : { ...mariadb, forUpdateSkipLocked: undefined };
  // A node may undo a `delete … returning` whose rows it has already sent, and two callers receive one signal.
  return isClustered(settings) ? { ...ofServer, returning: false, takeOldest: 'lock-delete' } : ofServer;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [actualMajor = 0, actualMinor = 0] = version.split('.').map(Number.parseFloat);
  return actualMajor > major || (actualMajor === major && actualMinor >= minor);
}

/** NULL where the text is no JSON: the functions that read JSON would fail the statement, whatever rows it is about. */
function jsonOrNull(column: string): string {
  return `case when json_valid(${column}) then ${column} end`;
}

/** The column, and no row at all where it is not fit. Made of the column: a constant would fail before any row is looked at. */
function sqliteOrFail(fit: string, column: string): string {
  return `case when ${fit} then ${column} else json(substr(${column}, 1, 0) || '{') end`;
}

/**
 * A pattern of the words of JSON, nothing between them, in a literal of MySQL's. `json_valid` of MariaDB looks at how they are put
 * together, and takes `\x`, `1.` and control characters for some. Without question marks, which MikroORM takes for parameters.
 */
const JSON_TOKENS = [
  String.raw`^([ \t\n\r]++|[][{},:]|true|false|null`,
  String.raw`|"([^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"`,
  String.raw`|-{0,1}(0|[1-9][0-9]*+)(\.[0-9]++){0,1}+([eE][-+]{0,1}+[0-9]++){0,1}+)*+$`,
]
  .join('')
  .replaceAll('\\', '\\\\');

function onConflict(keys: readonly string[], action: string): string {
  return ` on conflict (${keys.join(', ')}) ${action}`;
}

const sqlite: Dialect = {
  database: 'sqlite',
  bytewise: (column) => column,
  ignoreConflict: (keys) => onConflict(keys, 'do nothing'),
  replaceConflict: (keys, columns) =>
    onConflict(keys, `do update set ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`),
  added: (column) => `excluded.${column}`,
  replaceConflictIf: (keys, columns, condition) => ({
    text: `${sqlite.replaceConflict(keys, columns)} where ${condition}`,
    times: 1,
  }),
  hasTag: (column) => `exists (select 1 from json_each(${jsonOrNull(column)}) as tag where tag.value = ?)`,
  tagOperand: (tag) => tag,
  hasAnyTag: (column, count) =>
    `exists (select 1 from json_each(${jsonOrNull(column)}) as tag where tag.value in (${repeated('?', count)}))`,
  leadingText: () => undefined,
  ordersById: true,
  readsPagesLate: false,
  page: (limit, offset) =>
    limit === undefined && offset === 0
      ? { text: '', params: [] }
      : { text: ' limit ? offset ?', params: [limit ?? -1, offset] },
  askEach: (count, ask) => {
    const asked = Array.from({ length: count }, (_, n) => `(${n}, ?)`).join(', ');
    return `with asked(n, subject) as (values ${asked}) select n, (${ask('asked.subject')}) as answer from asked`;
  },
  // The columns of a list of rows have fixed names.
  namesRows: false,
  forUpdate: '',
  forUpdateSkipLocked: undefined,
  updatesWhatItLocks: false,
  forShare: '',
  asCommitted: '',
  writesFirst: true,
  oneWriter: true,
  severalPrimaries: false,
  beginsNextTurn: true,
  isolation: undefined,
  // The sqlite3 driver of MikroORM 6 loses the count when a value contains the word "returning".
  effect: 'rows',
  // The same driver runs what begins with "delete" without reading rows.
  deletePrefix: '/* returning */ ',
  countsChangedRows: false,
  probe: undefined,
  takeOldest: 'delete-subquery',
  jsonOrFail: (column) => sqliteOrFail(`json_valid(${column})`, column),
  // Any column of SQLite's holds text.
  numberOrFail: (column) => sqliteOrFail(`typeof(${column}) in ('integer', 'real')`, column),
  returning: true,
};

const postgresql: Dialect = {
  database: 'postgresql',
  bytewise: (column) => `${column} collate "C"`,
  ignoreConflict: sqlite.ignoreConflict,
  replaceConflict: sqlite.replaceConflict,
  added: sqlite.added,
  replaceConflictIf: sqlite.replaceConflictIf,
  hasTag: (column) => `${column} @> ?::jsonb`,
  tagOperand: (tag) => JSON.stringify([tag]),
  leadingText: (column, operator) =>
    `left(${column}, ${INDEXED_CHARACTERS}) ${operator} left(?, ${INDEXED_CHARACTERS})`,
  leadingTexts: (column, count) =>
    `left(${column}, ${INDEXED_CHARACTERS}) in (${repeated(`left(?, ${INDEXED_CHARACTERS})`, count)})`,
  ordersById: true,
  readsPagesLate: false,
  page: (limit, offset) => ({
    text: `${limit === undefined ? '' : ' limit ?'}${offset === 0 ? '' : ' offset ?'}`,
    params: [...(limit === undefined ? [] : [limit]), ...(offset === 0 ? [] : [offset])],
  }),
  askEach: sqlite.askEach,
  namesRows: true,
  forUpdate: ' for update',
  forUpdateSkipLocked: ' for update skip locked',
  updatesWhatItLocks: true,
  forShare: ' for share',
  asCommitted: '',
  writesFirst: false,
  oneWriter: false,
  severalPrimaries: false,
  beginsNextTurn: false,
  isolation: 'read committed',
  effect: 'count',
  deletePrefix: '',
  countsChangedRows: false,
  probe: PROBES.postgresql,
  // A column of JSON holds nothing else; one that another hand made may be text.
  jsonOrFail: (column) => `${column}::json::text`,
  numberOrFail: (column) => column,
  takeOldest: 'delete-locked',
  returning: true,
};

const ROW_COUNT_LIMIT = '18446744073709551615';

const mysql: Dialect = {
  database: 'mysql',
  bytewise: (column) => column,
  ignoreConflict: ([key]) => ` on duplicate key update ${key} = ${key}`,
  replaceConflict: (_keys, columns) =>
    ` on duplicate key update ${columns.map((column) => `${column} = values(${column})`).join(', ')}`,
  added: (column) => `values(${column})`,
  replaceConflictIf: (_keys, columns, condition, afterwards = condition) => {
    const chosen = columns.map(
      (column, n) => `${column} = if(${n === 0 ? condition : afterwards}, values(${column}), ${column})`,
    );
    return { text: ` on duplicate key update ${chosen.join(', ')}`, times: columns.length };
  },
  hasTag: (column) => `json_contains(${column}, ?)`,
  tagOperand: (tag) => JSON.stringify(tag),
  leadingText: () => undefined,
  // A status, a time and a run's id are longer than an index entry of InnoDB, which then leaves the id out.
  ordersById: false,
  readsPagesLate: true,
  page: (limit, offset) => {
    if (limit === undefined && offset === 0) return { text: '', params: [] };
    return limit === undefined
      ? { text: ` limit ${ROW_COUNT_LIMIT} offset ?`, params: [offset] }
      : { text: ' limit ? offset ?', params: [limit, offset] };
  },
  // A column of parameters would have the connection's collation, which no index of ours has.
  askEach: (count, ask) =>
    Array.from({ length: count }, (_, n) => `select ${n} as n, (${ask('?')}) as answer`).join(' union all '),
  namesRows: false,
  forUpdate: ' for update',
  forUpdateSkipLocked: ' for update skip locked',
  updatesWhatItLocks: false,
  forShare: ' lock in share mode',
  asCommitted: ' lock in share mode',
  writesFirst: false,
  oneWriter: false,
  severalPrimaries: false,
  beginsNextTurn: false,
  isolation: 'read committed',
  effect: 'count',
  deletePrefix: '',
  countsChangedRows: true,
  probe: PROBES.mysql,
  takeOldest: 'lock-delete',
  jsonOrFail: (column) => column,
  numberOrFail: (column) => column,
  collation: MYSQL_COLLATIONS.mysql,
  returning: false,
};

const mariadb: Dialect = {
  ...mysql,
  takeOldest: 'delete-limit',
  // The sum is beyond the largest number there is, which is an error in every mode. It is of the column: a constant would fail
  // before any row is looked at.
  jsonOrFail: (column) =>
    `if(json_valid(${column}) and ${column} regexp '${JSON_TOKENS}', ${column}, ~0 + (1 + length(${column})))`,
  collation: MYSQL_COLLATIONS.mariadb,
  returning: true,
};
