import { parseArgs } from 'node:util';
import type { System } from '../support/databases';
import type { Latency } from './latency';

export const USAGE = `npm run lease-window                         both endings, all guards, PostgreSQL, 100 runs each
npm run lease-window -- --db mariadb         or sqlite, postgresql, mysql
npm run lease-window -- --runs 400 --latency 2-8 --at-once 4
npm run lease-window -- --poll 0,1000        pauses of the polling peer, in ms
npm run lease-window -- --traces 3           what happened to runs that were executed again`;

export interface WindowOptions {
  readonly system: System;
  readonly runs: number;
  readonly latency: Latency;
  /** Runs under way at a time. */
  readonly atOnce: number;
  /** Pauses of the polling peer, in ms. */
  readonly pollMs: readonly number[];
  /** Timelines to print of each cell. */
  readonly traces: number;
}

const SYSTEMS: readonly System[] = ['sqlite', 'postgresql', 'mariadb', 'mysql'];

/** @throws TypeError for an option that is none */
export function readOptions(args: string[]): WindowOptions {
  const text = { type: 'string' } as const;
  const names = { db: text, runs: text, latency: text, 'at-once': text, poll: text, traces: text };
  const { values } = parseArgs({ args, options: names });
  const db = values.db ?? 'postgresql';
  const system = SYSTEMS.find((known) => known === db);
  if (!system) throw new TypeError(`--db: expected ${SYSTEMS.join(', ')}, got ${db}`);
  return {
    system,
    runs: wholeNumber('runs', values.runs ?? '100', 1),
    latency: latencyOf(values.latency ?? '2-8'),
    atOnce: wholeNumber('at-once', values['at-once'] ?? '4', 1),
    pollMs: (values.poll ?? '0,1000').split(',').map((ms) => wholeNumber('poll', ms, 0)),
    traces: wholeNumber('traces', values.traces ?? '0', 0),
  };
}

function latencyOf(text: string): Latency {
  const [, least, most] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (!least || !most || Number(least) > Number(most)) {
    throw new TypeError(`--latency: expected <least>-<most> in ms, got ${text}`);
  }
  return [Number(least), Number(most)];
}

function wholeNumber(name: string, text: string, least: number): number {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < least) throw new TypeError(`--${name}: expected a whole number from ${least}`);
  return n;
}
