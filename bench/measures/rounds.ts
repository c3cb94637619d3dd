import { type Call, each } from '../calls';
import { type Figure, figure, percentile, ratio, rotated } from '../stats';
import type { Subject, SubjectName } from '../subjects';
import type { Line } from './measure';

/** One figure per round for each subject. */
export type Rounds = ReadonlyMap<SubjectName, number[]>;

/**
 * Measure the subjects in turns, round after round, so that whatever happens to the machine happens to all. A first round
 * warms up and is thrown away.
 */
export async function inTurns(
  subjects: readonly Subject[],
  rounds: number,
  measure: (subject: Subject, round: number) => Promise<number>,
): Promise<Rounds> {
  const values = new Map<SubjectName, number[]>(subjects.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    for (const subject of rotated(subjects, round + 1)) {
      const value = await measure(subject, round);
      if (round >= 0) values.get(subject.name)?.push(value);
    }
  }
  return values;
}

/** A table line from rounds, with the ratios that the goals are stated in. */
export function line(name: string, rounds: Rounds, extra: Record<string, Figure> = {}): Line {
  const figures = Object.fromEntries([...rounds].map(([subject, values]) => [subject, figure(values)]));
  const ratios: Record<string, Figure> = {};
  for (const [over, under] of [
    ['ours', 'bare'],
    ['upstream', 'ours'],
    ['ours', 'upstream'],
    ['ours', 'memory'],
  ] as const) {
    const [numerators, denominators] = [rounds.get(over), rounds.get(under)];
    if (numerators && denominators) ratios[`${over}/${under}`] = ratio(numerators, denominators);
  }
  return { name, figures: { ...figures, ...extra }, ratios };
}

let scopes = 0;

/** A prefix no earlier key has. */
export function freshScope(): string {
  scopes += 1;
  return `b${process.pid.toString(36)}-${scopes.toString(36)}`;
}

/** Time single calls one after the other; microseconds each. */
export async function timeCalls({ store }: Subject, call: Call, count: number): Promise<number[]> {
  const scope = freshScope();
  await call.prepare?.(store, scope, count);
  const micros: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const start = process.hrtime.bigint();
    const result = await call.call(store, scope, n);
    micros.push(Number(process.hrtime.bigint() - start) / 1000);
    if (call.right?.(result) === false) throw new Error(`${call.name}: the store answered ${JSON.stringify(result)}`);
  }
  return micros;
}

/** Keep `callers` calls in flight; calls per second. */
export async function rateOfCalls({ store }: Subject, call: Call, count: number, callers: number): Promise<number> {
  const scope = freshScope();
  await call.prepare?.(store, scope, count);
  const start = performance.now();
  await each(count, (n) => call.call(store, scope, n), callers);
  return count / ((performance.now() - start) / 1000);
}

export const median = (values: readonly number[]) => percentile(values, 0.5);
