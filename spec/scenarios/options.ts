import { parseArgs } from 'node:util';
import type { System } from '../support/databases';
import type { Size } from './processes/play';

export const USAGE = `npm run scenarios                             two processes share 200 parents of 10 children, on all databases
npm run scenarios -- --database postgresql    one system, each of its drivers: sqlite, postgresql, mariadb, mysql
npm run scenarios -- --processes 2 --parents 200 --children 10
npm run scenarios -- --reconcile 1000         after how many milliseconds a waiting run looks again (default 1,000)
npm run scenarios -- --rounds 20              instead: every scenario of the suite that often, and what the engine does twice
npm run scenarios -- --rounds 20 --only fifty scenarios with this in their name
npm run scenarios -- --rounds 20 --database memory    on the engine's own store; far-memory: with a few milliseconds to it`;

const SYSTEMS: readonly System[] = ['sqlite', 'postgresql', 'mariadb', 'mysql'];
const MEMORIES = ['memory', 'far-memory'] as const;

export type StoreName = System | (typeof MEMORIES)[number];

export interface ScenarioOptions {
  readonly stores: readonly StoreName[];
  readonly size: Size;
  /** How often to play the scenarios of the suite; `undefined`: have processes share parents. */
  readonly rounds: number | undefined;
  /** Text in the names of the scenarios to play. */
  readonly only: string;
}

/** @throws TypeError for an option that is none */
export function readOptions(args: string[]): ScenarioOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      ...{ database: text, processes: text, parents: text, children: text, reconcile: text },
      ...{ rounds: text, only: text },
    },
  });
  const rounds = values.rounds === undefined ? undefined : wholeNumber('rounds', values.rounds);
  const all: readonly StoreName[] = rounds === undefined ? SYSTEMS : [...MEMORIES, ...SYSTEMS];
  const stores = all.filter((name) => values.database === undefined || name === values.database);
  if (stores.length === 0) throw new TypeError(`--database: expected ${all.join(', ')}, got ${values.database}`);
  const size = {
    processes: wholeNumber('processes', values.processes ?? '2'),
    parents: wholeNumber('parents', values.parents ?? '200'),
    children: wholeNumber('children', values.children ?? '10'),
    reconcileMs: wholeNumber('reconcile', values.reconcile ?? '1000'),
  };
  return { stores, size, rounds, only: values.only ?? '' };
}

function wholeNumber(name: string, text: string): number {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 1) throw new TypeError(`--${name}: expected a whole number from 1`);
  return n;
}
