import { types } from 'node:util';
import { DeadlockException, LockWaitTimeoutException } from '@mikro-orm/core';

/**
 * What a failed statement means for trying again: `rolled-back` and `not-sent` changed nothing, after `connection-lost`
 * nobody knows, and `final` fails the same way next time.
 */
export type Failure = 'rolled-back' | 'not-sent' | 'connection-lost' | 'final';

/** SQLSTATEs, MySQL names and numbers, SQLite names: the database undid the statement or the transaction. */
const ROLLED_BACK = new Set<unknown>([
  ...['40001', '40P01', '55P03'],
  ...['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD', 'ER_TABLE_DEF_CHANGED', 1213, 1205, 1020, 1412],
  ...['SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT', 'SQLITE_BUSY_RECOVERY', 'SQLITE_LOCKED', 'SQLITE_LOCKED_SHAREDCACHE'],
]);

const NOT_SENT = new Set<unknown>([
  ...['ECONNREFUSED', '57P03', 'ER_CON_COUNT_ERROR', 1040, 'ER_CONNECTION_TIMEOUT', 45012],
]);

const CONNECTION_LOST = new Set<unknown>([
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', '57P01', '57P02', '08000', '08003', '08006'],
  ...['PROTOCOL_CONNECTION_LOST', 'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR', 'ER_SERVER_SHUTDOWN', 'ER_CONNECTION_KILLED'],
  ...['ER_SOCKET_UNEXPECTED_CLOSE', 'ER_CMD_CONNECTION_CLOSED', 'ER_CONNECTION_ALREADY_CLOSED', 1053, 1927, 1152],
]);

/**
 * No connection became free in time, or it was found dead before the whole statement was handed over: a server acts on
 * no part of one.
 */
const NOT_SENT_MESSAGES =
  /Timeout acquiring a connection|failed to create socket|timeout exceeded when trying to connect|\bwrite (?:EPIPE|ECONNRESET)\b/i;

/**
 * `pg` reports a dead connection without a code, and `mysql2` some of them; knex ends a transaction whose connection has died
 * and then says no more than that.
 */
const LOST_MESSAGES =
  /Connection terminated|Transaction query already complete|Client has encountered a connection error|connection is in closed state|Connection lost|socket has unexpectedly been closed|Client was closed/i;

/** Classify an error of a statement by MikroORM's class, then by codes and messages along its chain of causes. */
export function classify(error: unknown): Failure {
  const chain = causes(error);
  if (chain.some((link) => link instanceof DeadlockException || link instanceof LockWaitTimeoutException)) {
    return 'rolled-back';
  }
  if (chain.some((link) => has(ROLLED_BACK, link))) return 'rolled-back';
  if (chain.some((link) => has(NOT_SENT, link) || NOT_SENT_MESSAGES.test(messageTail(link)))) return 'not-sent';
  if (chain.some((link) => has(CONNECTION_LOST, link) || LOST_MESSAGES.test(messageTail(link))))
    return 'connection-lost';
  return 'final';
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
  return causes(error).some((link) => has(codes, link));
}

function has(codes: ReadonlySet<unknown>, link: Error): boolean {
  const { code, errno } = link as Error & { code?: unknown; errno?: unknown };
  return codes.has(code) || codes.has(errno);
}

/** MikroORM 6 puts the SQL, and with it payloads, before the driver's message: only the end is the driver's. */
function messageTail(link: Error): string {
  return link.message.slice(-200);
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
