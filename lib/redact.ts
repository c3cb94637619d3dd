import type { Platform } from '@mikro-orm/core';
import { isError } from './failures';

/** Facts of a driver error that say what went wrong without quoting data. */
const KEPT = [
  ...(['code', 'errno', 'sqlState', 'sqlstate', 'severity', 'constraint', 'table', 'column', 'routine'] as const),
  ...(['syscall', 'phase'] as const),
];

const SHORTEST_TELLING = 6;

/** Places where servers quote a statement or a value. */
const QUOTED: readonly [pattern: RegExp, replacement: string][] = [
  [/near '[\s\S]*' at line/, 'near … at line'],
  [/near "[\s\S]*": syntax error/, 'near …: syntax error'],
  [/Duplicate entry '[\s\S]*' for key/, 'Duplicate entry … for key'],
  [/value:? '[\s\S]*' for (column|function)/, 'value … for $1'],
  [/(invalid input syntax for [\w ]+|invalid input value for [\w ]+|out of range|at or near): "[\s\S]*"/, '$1 …'],
  [/at or near "[\s\S]*"/, 'at or near …'],
];

/**
 * A copy of a database error of the same class and code whose message is the server's alone. MikroORM 6 puts the
 * statement with all its values before it, drivers attach it as fields, and servers quote some of it.
 */
export function redact(error: unknown, platform: Platform, sql: string, params: readonly unknown[]): Error {
  if (!isError(error)) return new Error(`the driver threw ${typeof error}`);
  const copy = Object.create(Object.getPrototypeOf(error)) as Error;
  const facts = error as unknown as Record<string, unknown>;
  const message = serverMessage(error, platform, sql, params);
  Object.defineProperty(copy, 'message', { value: message, writable: true, configurable: true });
  Object.defineProperty(copy, 'name', { value: error.constructor.name, writable: true, configurable: true });
  for (const fact of KEPT)
    if (typeof facts[fact] === 'string' || typeof facts[fact] === 'number') {
      Object.defineProperty(copy, fact, { value: facts[fact], enumerable: true, writable: true, configurable: true });
    }
  Error.captureStackTrace(copy, redact);
  return copy;
}

function serverMessage(error: Error, platform: Platform, sql: string, params: readonly unknown[]): string {
  const { sqlMessage } = error as Error & { sqlMessage?: unknown };
  const full = typeof sqlMessage === 'string' ? sqlMessage : withoutStatement(error.message, platform, sql, params);
  const shown = QUOTED.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), full);
  return params.reduce<string>((text, param) => (isTelling(param) ? text.replaceAll(param, '…') : text), shown);
}

/** Shorter values are words that messages use of their own, like a status. */
function isTelling(param: unknown): param is string {
  return typeof param === 'string' && param.length >= SHORTEST_TELLING;
}

function withoutStatement(message: string, platform: Platform, sql: string, params: readonly unknown[]): string {
  const statement = platform.formatQuery(sql, params as unknown[]);
  if (message.startsWith(statement)) return message.slice(statement.length).replace(/^ - /, '');
  // A hook of the host changed the statement. Whatever comes after the last separator is behind it, and the server's.
  const separator = message.lastIndexOf(' - ');
  return separator === -1 ? message : message.slice(separator + 3);
}
