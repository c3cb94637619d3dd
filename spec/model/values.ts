import { isWellFormed } from './hostile';

/** What the model expects a database to make of a value. */

/** Thrown by the model where the contract refuses input. */
export class Refused extends Error {
  override readonly name = 'DurableInputError';
}

/** Thrown by the model where a run is missing. */
export class Missing extends Error {
  override readonly name = 'DurableRunNotFoundError';
}

/** The answer of a transaction whose step another has completed, with an output that this one cannot give. */
export class Superseded extends Error {
  override readonly name = 'DurableTransactionError';
}

interface Width {
  readonly characters: number;
  readonly bytes: number;
}

/** The limits as the documentation states them. */
export const WIDTH = {
  runId: { characters: 512, bytes: 1024 },
  stepId: { characters: 540, bytes: 1080 },
  token: { characters: 768, bytes: 1592 },
  checkpointName: { characters: 776, bytes: 1600 },
  short: { characters: 255, bytes: 1020 },
} as const satisfies Record<string, Width>;

/** A key as it is kept: exactly, or not at all. */
export function keyOf(value: unknown, width?: Width): string {
  if (typeof value !== 'string' || value.includes('\u0000') || !isWellFormed(value)) throw new Refused();
  if (width && (Array.from(value).length > width.characters || Buffer.byteLength(value) > width.bytes)) {
    throw new Refused();
  }
  return value;
}

/** A token of a waiter or signal; events have theirs to themselves. */
export function tokenOf(value: string): string {
  if (keyOf(value, WIDTH.token).startsWith('\u0001event:')) throw new Refused();
  return value;
}

/** A payload as JSON text, which keeps the order of keys; `undefined` is absent. */
export function jsonOf(value: unknown): string | undefined {
  try {
    const text = JSON.stringify(value);
    return text === undefined ? undefined : JSON.stringify(JSON.parse(text));
  } catch {
    throw new Refused();
  }
}

/** The instants a database's columns can hold. */
export type Range = readonly [first: number, last: number];

export const RANGES: Record<'sqlite' | 'postgresql' | 'mysql', Range> = {
  sqlite: [-8.64e15, 8.64e15],
  postgresql: [Date.parse('0001-01-01T00:00:00.000Z'), 8.64e15],
  mysql: [Date.parse('0001-01-01T00:00:00.000Z'), Date.parse('9999-12-31T23:59:59.999Z')],
};

/** An instant as it is kept: rounded up, so that nothing is early, and inside the range. */
export function instantOf(ms: number, [first, last]: Range): number {
  if (Number.isNaN(ms)) throw new Refused();
  return Math.min(Math.max(Math.ceil(ms), first), last);
}

/** The present as an argument: what is kept is compared with it as it is, inside the range. */
export function nowOf(ms: number, [first, last]: Range): number {
  if (Number.isNaN(ms)) throw new Refused();
  return Math.min(Math.max(ms, first), last);
}

/** Order of texts by code point. */
export function byText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Sort by several keys, texts by code point. */
export function by<T>(...keys: ((item: T) => string | number)[]): (a: T, b: T) => number {
  return (a, b) => {
    for (const of of keys) {
      const [x, y] = [of(a), of(b)];
      const order = typeof x === 'string' ? byText(x, y as string) : x - (y as number);
      if (order !== 0) return order;
    }
    return 0;
  };
}
