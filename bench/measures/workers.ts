import { createDatabase, dropDatabase } from '../databases';
import { Crew, type CrewReport } from '../engine/crew';
import { STEPS } from '../engine/workflows';
import { percentile, rotated } from '../stats';
import type { SubjectName } from '../subjects';
import type { Context, Result } from './measure';
import { line } from './rounds';

const IN_FLIGHT = 32;
const SIZES = [1, 2, 4] as const;
/** Of each process: all of them together stay below the hundred connections that servers commonly allow. */
const POOL_SIZE = 5;

/** How the same work grows with worker processes, each with 32 workflows in flight, and what stops it. */
export async function workers(context: Context): Promise<Result | undefined> {
  // SQLite has one writer; more processes take turns.
  if (!context.place.login) return undefined;
  const [rounds, count] = context.options.quick ? [1, 128] : [3, 256];
  const names = context.subjects.filter((name) => name !== 'memory');
  const crews = new Map<SubjectName, Crew>();
  const targets = [];
  const reports = new Map<string, CrewReport[]>();
  try {
    for (const subject of names) {
      const target = { ...(await createDatabase(context.place, `crew_${subject}`)), poolSize: POOL_SIZE };
      targets.push(target);
      crews.set(subject, await Crew.start(Math.max(...SIZES), { subject, target }));
    }
    for (let round = -1; round < rounds; round += 1) {
      for (const size of SIZES) {
        for (const [subject, crew] of rotated([...crews], round + 1)) {
          context.progress(`engine: round ${round + 1} of ${rounds}, ${size} processes, ${subject}`);
          const report = await crew.run(size, count, IN_FLIGHT);
          if (round >= 0) push(reports, `${size} ${subject}`, report);
        }
      }
    }
  } finally {
    for (const crew of crews.values()) await crew.end();
    for (const target of targets) await dropDatabase(context.place, target);
  }
  const of = (size: number, subject: SubjectName) => reports.get(`${size} ${subject}`) ?? [];
  return {
    measure: 'workers',
    title: `Workflows of ${STEPS} local steps per second by worker processes, ${IN_FLIGHT} in flight in each`,
    unit: 'workflows/s',
    higherIsBetter: true,
    columns: names,
    lines: SIZES.map((size) =>
      line(
        `${size} ${size === 1 ? 'process' : 'processes'}`,
        new Map(names.map((subject) => [subject, of(size, subject).map(({ perSecond }) => perSecond)])),
      ),
    ),
    notes: [
      `${rounds} rounds of ${count} workflows for each subject and size, in turns; ${POOL_SIZE} connections in each process`,
      ...SIZES.flatMap((size) => names.map((subject) => busy(size, subject, of(size, subject)))),
    ],
    plot: 'lines',
  };
}

function busy(size: number, subject: SubjectName, reports: readonly CrewReport[]): string {
  const share = (pick: (report: CrewReport) => number) => `${(percentile(reports.map(pick), 0.5) * 100).toFixed(0)} %`;
  const machine = share(({ machineBusy }) => machineBusy);
  return `${size} × ${subject}: CPU of the machine ${machine} busy, ${share(({ workersBusy }) => workersBusy)} in the workers`;
}

function push<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key) ?? [];
  lists.set(key, [...list, value]);
}
