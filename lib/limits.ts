import type { Width } from '../schemas/widths';
import { DurableInputError } from './errors';

/** NUL, which PostgreSQL's text cannot hold, and lone surrogates, which UTF-8 cannot. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what is looked for
const UNSTORABLE = /[\u0000]|\p{Surrogate}/u;

const MAX_INT = 2_147_483_647;

/** Refuse text that is not a string, holds NUL or a lone surrogate, or does not fit its column. */
export function checkText(value: unknown, field: string, width?: Width): asserts value is string {
  if (typeof value !== 'string') {
    throw new DurableInputError('DURABLE_INVALID_TEXT', field, `must be a string, got ${describe(value)}`);
  }
  if (UNSTORABLE.test(value)) {
    throw new DurableInputError('DURABLE_INVALID_TEXT', field, 'holds a NUL character or a lone surrogate');
  }
  if (width) checkWidth(value, field, width);
}

function checkWidth(value: string, field: string, width: Width): void {
  // A code point is at most two UTF-16 units and each unit at most three bytes: most values need no counting.
  if (value.length <= width.characters && value.length * 3 <= width.bytes) return;
  const characters = countCharacters(value);
  if (characters > width.characters) throw tooLong(field, characters, width.characters, 'characters');
  const bytes = Buffer.byteLength(value);
  if (bytes > width.bytes) throw tooLong(field, bytes, width.bytes, 'bytes');
}

function countCharacters(value: string): number {
  let count = 0;
  for (const _ of value) count += 1;
  return count;
}

function tooLong(field: string, length: number, limit: number, unit: 'characters' | 'bytes'): DurableInputError {
  const problem = `is ${length} ${unit} long; the limit is ${limit}`;
  return new DurableInputError('DURABLE_VALUE_TOO_LONG', field, problem, { length, limit, unit });
}

/** Refuse what is no signed 32-bit integer. */
export function checkInteger(value: unknown, field: string): asserts value is number {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MAX_INT) return;
  const got = typeof value === 'number' ? String(value) : describe(value);
  throw new DurableInputError('DURABLE_INVALID_NUMBER', field, `must be a 32-bit integer, got ${got}`);
}

/** Refuse what is no point in time in epoch milliseconds; infinity is one, clamped when stored. */
export function checkEpochMs(value: unknown, field: string): asserts value is number {
  if (typeof value === 'number' && !Number.isNaN(value)) return;
  const got = typeof value === 'number' ? String(value) : describe(value);
  throw new DurableInputError('DURABLE_INVALID_NUMBER', field, `must be epoch milliseconds, got ${got}`);
}

/** Refuse what is no valid `Date`. */
export function checkDate(value: unknown, field: string): asserts value is Date {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return;
  throw new DurableInputError('DURABLE_INVALID_DATE', field, `must be a valid Date, got ${describe(value)}`);
}

/** Refuse tags that are not an array of storable strings. */
export function checkTags(value: unknown, field: string): asserts value is string[] {
  if (!Array.isArray(value)) {
    throw new DurableInputError('DURABLE_INVALID_TEXT', field, `must be an array, got ${describe(value)}`);
  }
  for (const [position, tag] of value.entries()) checkText(tag, `${field}[${position}]`);
}

/** The JSON text of a payload; `undefined` is absent. Refuses what JSON cannot express. */
export function payloadText(value: unknown, field: string): string | null {
  if (value === undefined) return null;
  try {
    return JSON.stringify(value) ?? null;
  } catch (error) {
    const reason =
      error instanceof TypeError && /bigint/i.test(error.message) ? 'holds a BigInt' : unserializable(error);
    throw new DurableInputError('DURABLE_INVALID_PAYLOAD', field, `cannot be written as JSON: it ${reason}`);
  }
}

/** Why serialization failed, without quoting the engine's message: it can name the payload's properties. */
function unserializable(error: unknown): string {
  if (error instanceof TypeError && /circular|cyclic/i.test(error.message)) return 'refers to itself';
  return error instanceof RangeError ? 'is nested too deeply or too long' : 'failed in its own toJSON';
}

/** A non-negative whole number for `limit` and `offset`. */
export function checkCount(value: unknown, field: string): asserts value is number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return;
  const got = typeof value === 'number' ? String(value) : describe(value);
  throw new DurableInputError('DURABLE_INVALID_QUERY', field, `must be a whole number from 0, got ${got}`);
}

/** The type of a value, for messages: values themselves stay out of them. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? `a ${value.constructor?.name ?? 'null-prototype'} object` : typeof value;
}
