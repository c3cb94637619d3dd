import { parseArgs } from 'node:util';
import type { System } from '../support/databases';
import type { Size } from './play';

export const USAGE = `npm run races                        all races on all databases, 60 rounds of 60 calls each
npm run races -- --db postgresql     one system, through each of its drivers: sqlite, postgresql, mariadb, mysql
npm run races -- --only take         races with this in their name
npm run races -- --rounds 60 --calls 60 --processes 3`;

export interface RaceOptions extends Size {
  readonly systems: readonly System[];
  /** Text in the names of the races to play. */
  readonly only: string;
}

const SYSTEMS: readonly System[] = ['sqlite', 'postgresql', 'mariadb', 'mysql'];

/** @throws TypeError for an option that is none */
export function readOptions(args: string[]): RaceOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: { db: text, only: text, rounds: text, calls: text, processes: text },
  });
  const systems = SYSTEMS.filter((system) => values.db === undefined || values.db === system);
  if (systems.length === 0) throw new TypeError(`--db: expected ${SYSTEMS.join(', ')}, got ${values.db}`);
  return {
    systems,
    only: values.only ?? '',
    rounds: wholeNumber('rounds', values.rounds ?? '60', 1),
    calls: wholeNumber('calls', values.calls ?? '60', 2),
    processes: wholeNumber('processes', values.processes ?? '3', 2),
  };
}

function wholeNumber(name: string, text: string, least: number): number {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < least) throw new TypeError(`--${name}: expected a whole number from ${least}`);
  return n;
}
