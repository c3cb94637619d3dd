import type { DatabaseName } from '../options';

/** How one database makes rows out of numbers: expressions over a column `n`. */
export interface Generator {
  /** A table expression with the numbers from `first` to `last` in column `n`. */
  numbers(first: number, last: number): string;
  /** Eight hexadecimal digits that differ for every number and come in no order. */
  scatter(n: string): string;
  /** An instant so many seconds after the beginning of 2026. */
  at(seconds: string): string;
  concat(...parts: string[]): string;
  text(n: string): string;
  /** Statements before and after a load. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const FIRST_SECOND = Date.UTC(2026, 0, 1) / 1000;
/** Odd, so that its product modulo 2³² repeats no number. */
const SCATTER = 2_654_435_761;
const RANGE = 2 ** 32;

const TABLES = [
  'durable_workflow_runs',
  'durable_step_checkpoints',
  'durable_run_attributes',
  'durable_signal_waiters',
  'durable_buffered_signals',
];

const mariadb: Generator = {
  numbers: (first, last) => `(select seq as n from seq_${first}_to_${last}) as numbers`,
  scatter: (n) => `lower(lpad(hex((${n} * ${SCATTER}) % ${RANGE}), 8, '0'))`,
  at: (seconds) => `date_add('2026-01-01', interval ${seconds} second)`,
  concat: (...parts) => `concat(${parts.join(', ')})`,
  text: (n) => `${n}`,
  before: ['set unique_checks = 0'],
  after: [`analyze table ${TABLES.join(', ')}`],
};

/** A table expression with a row for each number below 10 to the power of `digits`, which needs no recursion. */
function powersOfTen(digits: number): string {
  const ten = Array.from({ length: 10 }, (_, digit) => `select ${digit} as digit`).join(' union all ');
  const tables = Array.from({ length: digits }, (_, power) => `(${ten}) as ten${power}`).join(' cross join ');
  const sum = Array.from({ length: digits }, (_, power) => `ten${power}.digit * ${10 ** power}`).join(' + ');
  return `(select ${sum} as n from ${tables}) as counted`;
}

export const GENERATORS: Readonly<Record<DatabaseName, Generator>> = {
  sqlite: {
    numbers: (first, last) =>
      `(with recursive counted(n) as (select ${first} union all select n + 1 from counted where n < ${last}) select n from counted) as numbers`,
    scatter: (n) => `printf('%08x', (${n} * ${SCATTER}) % ${RANGE})`,
    at: (seconds) => `(${FIRST_SECOND} + ${seconds}) * 1000`,
    concat: (...parts) => `(${parts.join(' || ')})`,
    text: (n) => `cast(${n} as text)`,
    before: ['pragma journal_mode = wal', 'pragma synchronous = off', 'pragma cache_size = -400000'],
    // No `analyze`: SQLite does not do it by itself, and few applications do.
    after: ['pragma wal_checkpoint(truncate)'],
  },
  postgresql: {
    numbers: (first, last) => `generate_series(${first}::bigint, ${last}::bigint) as numbers(n)`,
    scatter: (n) => `lpad(to_hex((${n} * ${SCATTER}) % ${RANGE}), 8, '0')`,
    at: (seconds) => `to_timestamp(${FIRST_SECOND} + ${seconds})`,
    concat: (...parts) => `(${parts.join(' || ')})`,
    text: (n) => `(${n})::text`,
    before: ['set synchronous_commit = off'],
    after: TABLES.map((table) => `vacuum analyze ${table}`),
  },
  mariadb,
  mysql: {
    ...mariadb,
    numbers: (first, last) =>
      `(select n + ${first} as n from ${powersOfTen(String(last - first).length)} where n <= ${last - first}) as numbers`,
  },
};
