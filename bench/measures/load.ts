import { STEPS, TenSteps } from '../engine/workflows';
import { figure, percentile, rotated } from '../stats';
import { type Subject, withSubjects } from '../subjects';
import { type Context, type Line, type Result } from './measure';
import { median } from './rounds';

const IN_FLIGHT = 32;
const SHARES = [0.25, 0.5, 0.8] as const;
const PERCENTILES = { p50: 0.5, p99: 0.99 } as const;

/** How long a workflow takes from when it is due to its end, at loads that leave the store some rest. */
export async function load(context: Context): Promise<Result> {
  const names = context.subjects.filter((name) => name !== 'memory');
  const [rounds, count] = context.options.quick ? [1, 64] : [3, 512];
  const notes: string[] = [];
  const lines = await withSubjects(context.place, names, async (subjects) => {
    const loaded = subjects.map((subject) => ({ subject, engine: new TenSteps(subject.store) }));
    const capacities = new Map<Subject, number>();
    for (const { subject, engine } of loaded) {
      context.progress(`load: what ${subject.name} can do`);
      const rates: number[] = [];
      for (let round = 0; round < 3; round += 1) rates.push(await engine.run(count / 2, IN_FLIGHT));
      capacities.set(subject, median(rates));
      notes.push(`${subject.name} completes ${median(rates).toFixed(0)} workflows/s with ${IN_FLIGHT} in flight`);
    }
    const times = new Map<string, number[][]>();
    for (let round = 0; round < rounds; round += 1) {
      for (const share of SHARES) {
        for (const { subject, engine } of rotated(loaded, round)) {
          context.progress(`load: round ${round + 1} of ${rounds}, ${share * 100} % of what ${subject.name} can do`);
          const all = await engine.open(count, share * (capacities.get(subject) ?? 1));
          const key = `${share} ${subject.name}`;
          times.set(key, [...(times.get(key) ?? []), all]);
        }
      }
    }
    return SHARES.flatMap((share) =>
      Object.entries(PERCENTILES).map(([name, part]): Line => {
        const of = (subject: string) =>
          figure((times.get(`${share} ${subject}`) ?? []).map((all) => percentile(all, part)));
        const figures = Object.fromEntries(names.map((subject) => [subject, of(subject)]));
        return { name: `${share * 100} % of what it can do, ${name}`, figures, ratios: {} };
      }),
    );
  });
  return {
    measure: 'load',
    title: `A workflow of ${STEPS} local steps from when it is due to its end, starts at random times`,
    unit: 'ms',
    higherIsBetter: false,
    columns: names,
    lines,
    notes: [
      `${rounds} rounds of ${count} workflows for each subject and load, each subject at shares of its own rate`,
      ...notes,
    ],
    plot: 'none',
  };
}
