import { ARRIVALS, STEPS, TenSteps } from '../engine/workflows';
import { withSubjects } from '../subjects';
import type { Context, Line, Result } from './measure';
import { inTurns, line } from './rounds';

const IN_FLIGHT = 32;

/** How many workflows a second the real engine completes on each store, however they come. */
export async function engine(context: Context): Promise<Result> {
  const names = context.subjects;
  const [rounds, count] = context.options.quick ? [2, 64] : [5, 256];
  const lines = await withSubjects(context.place, names, async (subjects) => {
    const measured: Line[] = [];
    for (const arrival of ARRIVALS) {
      const engines = new Map(subjects.map((subject) => [subject, new TenSteps(subject.store, arrival)]));
      const rates = await inTurns(subjects, rounds, (subject, round) => {
        context.progress(`engine, ${arrival.name}: round ${round + 1} of ${rounds}, ${subject.name}`);
        return (engines.get(subject) ?? new TenSteps(subject.store, arrival)).run(count, IN_FLIGHT);
      });
      measured.push(line(arrival.name, rates));
    }
    return measured;
  });
  return {
    measure: 'engine',
    title: `Workflows of ${STEPS} local steps per second, ${IN_FLIGHT} in flight, one process`,
    unit: 'workflows/s',
    higherIsBetter: true,
    columns: [...names],
    lines,
    notes: [`${rounds} rounds of ${count} workflows for each subject, in turns; median, lowest and highest round`],
    plot: 'bars',
  };
}
