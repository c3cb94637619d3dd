import type { Database } from './database';
import { readNumber, UnreadableValue } from './unreadable';

/** The range of JavaScript dates, in epoch milliseconds. */
const MAX_JS_MS = 8.64e15;
/** 0001-01-01T00:00:00.000Z: the first instant that all SQL date types can write without an era. */
const FIRST_SQL_MS = -62_135_596_800_000;
/** 9999-12-31T23:59:59.999Z: the last instant MySQL's `datetime` can hold. */
const LAST_MYSQL_MS = 253_402_300_799_999;

const RANGE: Record<Database, readonly [min: number, max: number]> = {
  sqlite: [-MAX_JS_MS, MAX_JS_MS],
  postgresql: [FIRST_SQL_MS, MAX_JS_MS],
  mysql: [FIRST_SQL_MS, LAST_MYSQL_MS],
};

/**
 * An instant as the column keeps it: whole milliseconds inside the column's range. A fraction is rounded up, so that a
 * timer never fires early; anything beyond the range (`Infinity` too) becomes the nearest instant the column can hold.
 */
export function storableMs(ms: number, database: Database): number {
  const [min, max] = RANGE[database];
  return Math.min(Math.max(Math.ceil(ms), min), max) + 0;
}

/** The raw parameter for an instant: integer milliseconds on SQLite, UTC text elsewhere. */
export function encodeInstant(ms: number, database: Database): string | number {
  const storable = storableMs(ms, database);
  if (database === 'sqlite') return storable;
  return database === 'postgresql' ? `${utcText(storable)}+00` : utcText(storable);
}

/**
 * Epoch milliseconds from what {@link instantSql} selects, or from what a driver makes of the bare column.
 *
 * @throws UnreadableValue for what is no time of JavaScript's: PostgreSQL's `infinity`, MySQL's zero date, text in SQLite
 */
export function decodeInstant(raw: unknown): number {
  const ms =
    raw instanceof Date ? raw.getTime() : typeof raw === 'number' ? Math.round(raw) : parseInstantText(String(raw));
  if (Math.abs(ms) <= MAX_JS_MS) return ms;
  throw new UnreadableValue('is no point in time');
}

/** The SQL expression that reads an instant column free of session and driver time zones. */
export function instantSql(column: string, database: Database): string {
  switch (database) {
    case 'sqlite':
      return column;
    case 'postgresql':
      // Exact: `numeric` since PostgreSQL 14. Rounding here costs the server more than fetching the row.
      return `extract(epoch from ${column}) * 1000.0`;
    case 'mysql':
      return `cast(${column} as char)`;
  }
}

/** `YYYY-MM-DD hh:mm:ss.mmm` in UTC, with as many digits of year as it takes. */
function utcText(ms: number): string {
  const iso = new Date(ms).toISOString();
  const time = iso.indexOf('T');
  const year = iso.startsWith('+') ? iso.slice(1, time).replace(/^0+/, '') : iso.slice(0, time);
  return `${year} ${iso.slice(time + 1, -1)}`;
}

const INSTANT_TEXT =
  /^(\d+)-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d):?(\d\d)?:?(\d\d)?|Z)?$/;

/** Text without an offset is UTC: a MySQL `datetime` has none. */
function parseInstantText(text: string): number {
  const parts = INSTANT_TEXT.exec(text);
  if (!parts) return Math.round(readNumber(text));
  const field = (position: number) => Number(parts[position] ?? 0);
  if (field(2) === 0 || field(3) === 0) return Number.NaN;
  const ms = Number((parts[7] ?? '').padEnd(3, '0').slice(0, 3));
  const local = new Date(Date.UTC(2000, field(2) - 1, field(3), field(4), field(5), field(6), ms));
  // Date.UTC reads years below 100 as 19xx.
  local.setUTCFullYear(field(1), field(2) - 1, field(3));
  const offset = (field(9) * 3600 + field(10) * 60 + field(11)) * 1000;
  return local.getTime() - (parts[8] === '-' ? -offset : offset);
}
