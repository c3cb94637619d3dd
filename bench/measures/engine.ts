import { STEPS, TenSteps } from '../engine/workflows';
import { withSubjects } from '../subjects';
import type { Context, Result } from './measure';
import { inTurns, line } from './rounds';

const IN_FLIGHT = 32;

/** How many workflows a second the real engine completes on each store. */
export async function engine(context: Context): Promise<Result> {
  const names = context.subjects;
  const [rounds, count] = context.options.quick ? [2, 64] : [7, 128];
  const rates = await withSubjects(context.place, names, (subjects) => {
    const engines = new Map(subjects.map((subject) => [subject, new TenSteps(subject.store)]));
    return inTurns(subjects, rounds, (subject, round) => {
      context.progress(`engine: round ${round + 1} of ${rounds}, ${subject.name}`);
      return (engines.get(subject) ?? new TenSteps(subject.store)).run(count, IN_FLIGHT);
    });
  });
  return {
    measure: 'engine',
    title: `Workflows of ${STEPS} local steps per second, ${IN_FLIGHT} in flight, one process`,
    unit: 'workflows/s',
    higherIsBetter: true,
    columns: [...names],
    lines: [line('workflows', rates)],
    notes: [`${rounds} rounds of ${count} workflows for each subject, in turns; median, lowest and highest round`],
    plot: 'bars',
  };
}
