import { type Call, HOT_CALLS, IDLE_SCANS, IDLE_TICK } from '../calls';
import { figure, percentile } from '../stats';
import { LABELS, type Subject, withSubjects } from '../subjects';
import type { Context, Line, Result } from './measure';
import { inTurns, line, median, timeCalls } from './rounds';

/** How long one call takes when nobody else calls. */
export async function latency(context: Context): Promise<Result> {
  const names = context.subjects;
  const [rounds, count] = context.options.quick ? [3, 40] : [7, 100];
  const lines = await withSubjects(context.place, names, async (subjects) => {
    const measured: Line[] = [];
    for (const call of [IDLE_TICK, ...IDLE_SCANS, ...HOT_CALLS]) {
      context.progress(`latency: ${call.name}`);
      measured.push(await latencyOf(call, subjects, rounds, count));
    }
    return measured;
  });
  return {
    measure: 'latency',
    title: 'Latency of one call, one caller (median)',
    unit: 'µs',
    higherIsBetter: false,
    columns: [...names],
    lines,
    notes: [
      `${rounds} rounds of ${count} calls for each subject, in turns; median of the rounds' medians, lowest and highest round`,
      `subjects: ${names.map((name) => LABELS[name]).join(', ')}`,
    ],
    plot: 'bars',
  };
}

async function latencyOf(call: Call, subjects: readonly Subject[], rounds: number, count: number): Promise<Line> {
  const slow = new Map(subjects.map(({ name }) => [name, [] as number[]]));
  const medians = await inTurns(subjects, rounds, async (subject, round) => {
    const micros = await timeCalls(subject, call, count);
    if (round >= 0) slow.get(subject.name)?.push(percentile(micros, 0.95));
    return median(micros);
  });
  const p95 = Object.fromEntries([...slow].map(([name, values]) => [`${name} p95`, figure(values)]));
  return line(call.name, medians, p95);
}
