import { callNamed } from '../calls';
import { createDatabase, dropDatabase } from '../databases';
import { TenSteps } from '../engine/workflows';
import { figure, rotated } from '../stats';
import { openOurs } from '../subjects/ours';
import type { Subject } from '../subjects/subject';
import type { Context, Line, Result } from './measure';
import { median, rateOfCalls, timeCalls } from './rounds';

const MODES: readonly (readonly [name: string, pragmas: readonly string[]])[] = [
  ['delete, full', ['journal_mode = delete', 'synchronous = full']],
  ['delete, normal', ['journal_mode = delete', 'synchronous = normal']],
  ['wal, full', ['journal_mode = wal', 'synchronous = full']],
  ['wal, normal', ['journal_mode = wal', 'synchronous = normal']],
  ['wal, off', ['journal_mode = wal', 'synchronous = off']],
];

/** SQLite only: what the journal mode and `synchronous`, which the host chooses, are worth. */
export async function settings(context: Context): Promise<Result | undefined> {
  if (context.place.database !== 'sqlite') return undefined;
  const [rounds, count] = context.options.quick ? [2, 64] : [9, 256];
  const targets = [];
  const stores: [string, Subject][] = [];
  try {
    for (const [name, pragmas] of MODES) {
      const target = await createDatabase(context.place, 'settings');
      targets.push(target);
      stores.push([name, await openOurs(target, undefined, pragmas)]);
    }
    const lines: Line[] = [];
    for (const [name, measure] of Object.entries(workOf(count))) {
      const values = new Map(stores.map(([mode]) => [mode, [] as number[]]));
      for (let round = -1; round < rounds; round += 1) {
        for (const [mode, subject] of rotated(stores, round + 1)) {
          context.progress(`settings: ${name}, ${mode}`);
          const value = await measure(subject);
          if (round >= 0) values.get(mode)?.push(value);
        }
      }
      const figures = Object.fromEntries([...values].map(([mode, rates]) => [mode, figure(rates)]));
      lines.push({ name, figures, ratios: {} });
    }
    return {
      measure: 'settings',
      title: 'SQLite: journal mode and synchronous',
      unit: 'per second; µs where it says latency',
      higherIsBetter: true,
      columns: MODES.map(([name]) => name),
      lines,
      notes: [`${rounds} rounds for each mode, in turns; this library, one process, one connection`],
      plot: 'none',
    };
  } finally {
    for (const [, subject] of stores) await subject.close();
    for (const target of targets) await dropDatabase(context.place, target);
  }
}

function workOf(count: number): Record<string, (subject: Subject) => Promise<number>> {
  return {
    'saveCheckpoint latency, one caller': async (subject) =>
      median(await timeCalls(subject, callNamed('saveCheckpoint new'), count)),
    'getRun latency, one caller': async (subject) => median(await timeCalls(subject, callNamed('getRun'), count)),
    'saveCheckpoint, 32 callers': (subject) => rateOfCalls(subject, callNamed('saveCheckpoint new'), count * 4, 32),
    'updateRun, 32 callers': (subject) => rateOfCalls(subject, callNamed('updateRun'), count, 32),
    'workflows of 10 steps, 32 in flight': (subject) => new TenSteps(subject.store).run(count / 2, 32),
  };
}
