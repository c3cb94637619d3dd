import { CHILDREN, FanOut, type FanOutReport } from '../engine/fan-out';
import { type Figure, figure, percentile, rotated } from '../stats';
import { withSubjects } from '../subjects';
import type { Context, Line, Result } from './measure';

const IN_FLIGHT = 4;

/** How many parents of fifty children end with all results, and how long that takes. */
export async function fanOut(context: Context): Promise<Result> {
  const [rounds, count] = context.options.quick ? [1, 4] : [3, 20];
  const reports = new Map<string, FanOutReport[]>();
  await withSubjects(context.place, context.subjects, async (subjects) => {
    const engines = subjects.map((subject) => ({ name: subject.name, engine: new FanOut(subject.store) }));
    for (let round = -1; round < rounds; round += 1) {
      for (const { name, engine } of rotated(engines, round + 1)) {
        context.progress(`fan-out: round ${round + 1} of ${rounds}, ${name}`);
        const report = await engine.run(round < 0 ? 1 : count, round < 0 ? 1 : IN_FLIGHT);
        if (round >= 0) reports.set(name, [...(reports.get(name) ?? []), report]);
      }
    }
    for (const { engine } of engines) await engine.close();
  });
  const line = (name: string, of: (reports: FanOutReport) => number): Line => ({
    name,
    figures: Object.fromEntries(
      context.subjects.map((subject): [string, Figure] => [subject, figure((reports.get(subject) ?? []).map(of))]),
    ),
    ratios: {},
  });
  return {
    measure: 'fan-out',
    title: `Parents that wait for ${CHILDREN} children of one step each, ${IN_FLIGHT} in flight`,
    unit: '',
    higherIsBetter: true,
    columns: context.subjects,
    lines: [
      line('right ends a second', ({ times, seconds }) => times.length / seconds),
      line('right ends, %', ({ times }) => (100 * times.length) / count),
      line('from start to end, p50, ms', ({ times }) => percentile(times, 0.5)),
    ],
    notes: [
      `${rounds} rounds of ${count} parents for each subject, in turns; one process, which polls every second`,
      'a parent that has not ended after 10 s is given up',
    ],
    plot: 'none',
  };
}
