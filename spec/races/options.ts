import { parseArgs } from 'node:util';
import type { Driver } from '../support/databases';
import type { Size } from './play';

export const USAGE = `npm run races                        all races on all databases, 60 rounds of 60 calls each
npm run races -- --db postgresql     one database: sqlite, postgresql, mysql, mariadb (the drivers of MikroORM)
npm run races -- --only take         races with this in their name
npm run races -- --rounds 60 --calls 60 --processes 3`;

export interface RaceOptions extends Size {
  readonly drivers: readonly Driver[];
  /** Text in the names of the races to play. */
  readonly only: string;
}

const DRIVERS: Record<string, readonly Driver[]> = {
  sqlite: ['better-sqlite', 'sqlite'],
  postgresql: ['postgresql'],
  mysql: ['mysql'],
  mariadb: ['mariadb'],
};

/** @throws TypeError for an option that is none */
export function readOptions(args: string[]): RaceOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: { db: text, only: text, rounds: text, calls: text, processes: text },
  });
  const drivers = values.db === undefined ? Object.values(DRIVERS).flat() : DRIVERS[values.db];
  if (!drivers) throw new TypeError(`--db: expected ${Object.keys(DRIVERS).join(', ')}, got ${values.db}`);
  return {
    drivers,
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
