import type { Expected } from '../ends';

type Counts = Record<string, number>;

/** What a scenario expects, run by run. */
export class Expectation implements Expected {
  readonly runs: Record<string, string> = {};
  readonly did: Counts = {};
  readonly booked: Counts = {};

  completed(id: string, output?: unknown): this {
    return this.ended(id, output === undefined ? 'completed' : `completed ${JSON.stringify(output)}`);
  }

  ended(id: string, end: string): this {
    this.runs[id] = end;
    return this;
  }

  does(effect: string, times = 1): this {
    this.did[effect] = times;
    return this;
  }

  books(effect: string, times = 1): this {
    this.booked[effect] = times;
    return this;
  }
}

/** Ids `prefix-0` and on. */
export function ids(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}-${n}`);
}

/** Whole numbers from 0. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
