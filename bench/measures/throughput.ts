import { HOT_CALLS, IDLE_TICK, SAVE_CHECKPOINT } from '../calls';
import { withSubjects } from '../subjects';
import type { Context, Line, Result } from './measure';
import { inTurns, line, rateOfCalls } from './rounds';

const CALLERS = 32;
const MANY_CALLERS = 128;

/** How many calls a second go through when many call at once. */
export async function throughput(context: Context): Promise<Result> {
  const names = context.subjects;
  const [rounds, count] = context.options.quick ? [2, 256] : [5, 512];
  const work = [
    ...[IDLE_TICK, ...HOT_CALLS].map((call) => ({ call, callers: CALLERS })),
    { call: SAVE_CHECKPOINT, callers: MANY_CALLERS },
  ];
  const lines = await withSubjects(context.place, names, async (subjects) => {
    const measured: Line[] = [];
    for (const { call, callers } of work) {
      const name = callers === CALLERS ? call.name : `${call.name}, ${callers} callers`;
      context.progress(`throughput: ${name}`);
      const rates = await inTurns(subjects, rounds, (subject) => rateOfCalls(subject, call, count, callers));
      measured.push(line(name, rates));
    }
    return measured;
  });
  return {
    measure: 'throughput',
    title: `Calls per second, ${CALLERS} concurrent callers`,
    unit: 'calls/s',
    higherIsBetter: true,
    columns: [...names],
    lines,
    notes: [`${rounds} rounds of ${count} calls for each subject, in turns; median, lowest and highest round`],
    plot: 'bars',
  };
}
