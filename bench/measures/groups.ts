import type { MikroOrmStateStoreOptions } from '../../lib';
import { callNamed } from '../calls';
import { createDatabase, dropDatabase } from '../databases';
import { TenSteps } from '../engine/workflows';
import { figure, rotated } from '../stats';
import { openOurs } from '../subjects/ours';
import type { Subject } from '../subjects/subject';
import type { Context, Line, Result } from './measure';
import { rateOfCalls } from './rounds';

const VARIANTS: Readonly<Record<string, MikroOrmStateStoreOptions['groupCommit']>> = {
  'no groups': false,
  '1 × 32 rows': { lanes: 1, maxRows: 32 },
  '1 × 128 rows': { lanes: 1, maxRows: 128 },
  '1 × 512 rows': { lanes: 1, maxRows: 512 },
  '2 × 128 rows': { lanes: 2, maxRows: 128 },
  '4 × 128 rows': { lanes: 4, maxRows: 128 },
};

/** What the number of lanes and the size of a group do to this library's own figures. */
export async function groups(context: Context): Promise<Result> {
  const [rounds, count] = context.options.quick ? [2, 256] : [5, 1024];
  const work = workOf(count, context.options.quick ? 64 : 192);
  const target = await createDatabase(context.place, 'groups');
  const stores: [string, Subject][] = [];
  try {
    for (const [name, groupCommit] of Object.entries(VARIANTS)) {
      stores.push([name, await openOurs(target, { groupCommit })]);
    }
    const lines: Line[] = [];
    for (const [name, measure] of work) {
      const values = new Map(stores.map(([variant]) => [variant, [] as number[]]));
      for (let round = -1; round < rounds; round += 1) {
        for (const [variant, subject] of rotated(stores, round + 1)) {
          context.progress(`groups: ${name}, ${variant}`);
          const rate = await measure(subject);
          if (round >= 0) values.get(variant)?.push(rate);
        }
      }
      const figures = Object.fromEntries([...values].map(([variant, rates]) => [variant, figure(rates)]));
      lines.push({ name, figures, ratios: {} });
    }
    return {
      measure: 'groups',
      title: 'Group commit: lanes × rows of a group, per second',
      unit: 'calls/s, workflows/s',
      higherIsBetter: true,
      columns: Object.keys(VARIANTS),
      lines,
      notes: [`${rounds} rounds of ${count} calls for each variant, in turns, all on one database`],
      plot: 'none',
    };
  } finally {
    for (const [, subject] of stores) await subject.close();
    await dropDatabase(context.place, target);
  }
}

function workOf(count: number, workflows: number): [string, (subject: Subject) => Promise<number>][] {
  const calls = ['createRun', 'getRun', 'saveCheckpoint new'].map(callNamed);
  return [
    ...calls.flatMap((call) =>
      [32, 128, 512].map((callers): [string, (subject: Subject) => Promise<number>] => [
        `${call.name}, ${callers} callers`,
        (subject) => rateOfCalls(subject, call, count, callers),
      ]),
    ),
    ...[32, 256].map((inFlight): [string, (subject: Subject) => Promise<number>] => [
      `workflows, ${inFlight} in flight`,
      (subject) => new TenSteps(subject.store).run(Math.max(workflows, inFlight), inFlight),
    ]),
  ];
}
