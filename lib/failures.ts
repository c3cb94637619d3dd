import { types } from 'node:util';
import {
  DeadlockException,
  InvalidFieldNameException,
  LockWaitTimeoutException,
  TableNotFoundException,
} from '@mikro-orm/core';
import {
  ACQUIRING,
  FAILURE_OF_CODE,
  FAILURE_OF_WORDS,
  type Failure,
  NO_ROWS_FAULT,
  WRONG_SERVER,
} from './failure-codes';

/** When several reasons meet along the causes, the one that says most about what happened. */
const TELLING_MOST: readonly Failure[] = ['rolled-back', 'not-sent', 'in-doubt'];

/** Calls of the system that happen before there is a connection. */
const BEFORE_CONNECTED = new Set(['connect', 'getaddrinfo']);

const WORDS_FROM_END = 200;

interface Facts {
  code?: unknown;
  errno?: unknown;
  sqlState?: unknown;
  sqlMessage?: unknown;
  syscall?: unknown;
  phase?: unknown;
}

/** Classify an error of a statement by MikroORM's class, the driver's words and codes, along its chain of causes. */
export function classify(error: unknown): Failure {
  const found = new Set(causes(error).map(ofLink));
  return TELLING_MOST.find((failure) => found.has(failure)) ?? 'final';
}

function ofLink(link: Error): Failure {
  if (link instanceof DeadlockException || link instanceof LockWaitTimeoutException) return 'rolled-back';
  const { code, errno, syscall, phase } = link as Facts;
  if (BEFORE_CONNECTED.has(String(syscall))) return 'not-sent';
  const words = wordsOf(link);
  const failure =
    FAILURE_OF_WORDS.find(([pattern]) => pattern.test(words))?.[1] ??
    FAILURE_OF_CODE.get(code) ??
    FAILURE_OF_CODE.get(errno) ??
    'final';
  // Nothing was said on a connection that was not there yet.
  return failure === 'in-doubt' && phase === ACQUIRING ? 'not-sent' : failure;
}

/** Whether another row in the same statement could have fared better. */
export function isOneRowsFault(error: unknown): boolean {
  if (classify(error) !== 'final') return false;
  return !causes(error).some((link) => {
    const { code, sqlState, phase } = link as Facts;
    return phase === ACQUIRING || [code, sqlState].some((state) => isSqlState(state) && NO_ROWS_FAULT.test(state));
  });
}

function isSqlState(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9A-Z]{5}$/.test(value);
}

/** Whether the host has closed the ORM: knex has no pool any more, or the pool that closes let go of who waited. */
export function isClosed(error: unknown): boolean {
  return causes(error).some(
    (link) =>
      link.message === 'Unable to acquire a connection' ||
      (link.message === 'aborted' && (link as Facts).phase === ACQUIRING),
  );
}

/**
 * Whether another server may have taken the place of the one that refused: a connection to the old one stays what it is,
 * a new one leads to whoever is primary now.
 */
export function isOfWrongServer(error: unknown): boolean {
  return causes(error).some((link) => {
    const { code, errno } = link as Facts;
    return WRONG_SERVER.codes.has(code) || WRONG_SERVER.codes.has(errno) || WRONG_SERVER.words.test(wordsOf(link));
  });
}

/** Whether the failure is a lock that was not to be had in time. */
export function isLockTimeout(error: unknown): boolean {
  const codes = new Set<unknown>(['55P03', 'ER_LOCK_WAIT_TIMEOUT', 1205, 'SQLITE_BUSY']);
  return causes(error).some((link) => codes.has((link as Facts).code) || codes.has((link as Facts).errno));
}

/** What the statement found missing in the schema, and the link of the chain that says so. */
export function missingInSchema(error: unknown): { what: 'table' | 'column'; link: Error } | undefined {
  for (const link of causes(error)) {
    if (link instanceof TableNotFoundException) return { what: 'table', link };
    // MikroORM has no class for what SQLite says of an insert.
    const lacksColumn = link instanceof InvalidFieldNameException || /has no column named \w+$/.test(wordsOf(link));
    if (lacksColumn) return { what: 'column', link };
  }
  return undefined;
}

/** Whether the failure is a taken unique key. */
export function isDuplicateKey(error: unknown): boolean {
  const codes = new Set<unknown>([
    '23505',
    'ER_DUP_ENTRY',
    1062,
    'SQLITE_CONSTRAINT_PRIMARYKEY',
    'SQLITE_CONSTRAINT_UNIQUE',
  ]);
  return causes(error).some((link) => codes.has((link as Facts).code) || codes.has((link as Facts).errno));
}

/**
 * The driver's own words. MikroORM 6 puts the SQL, and with it payloads, before them, and the `mariadb` driver behind them;
 * of a message only the end is the driver's.
 */
function wordsOf(link: Error): string {
  const { sqlMessage } = link as Facts;
  return typeof sqlMessage === 'string' ? sqlMessage : link.message.slice(-WORDS_FROM_END);
}

/** Whether a value is an error, of this realm or another: test runners run code in a realm of their own. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/** The error and everything it was caused by, each once. */
export function causes(error: unknown): Error[] {
  const found: Error[] = [];
  const visit = (link: unknown): void => {
    if (!isError(link) || found.includes(link)) return;
    found.push(link);
    visit(link.cause);
    visit((link as Error & { previous?: unknown }).previous);
    const { errors } = link as Error & { errors?: unknown };
    for (const inner of Array.isArray(errors) ? errors : []) visit(inner);
  };
  visit(error);
  return found;
}
