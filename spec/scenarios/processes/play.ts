import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../../lib';
import { type DatabaseKind, sql, TestDatabase } from '../../support/databases';
import { booked, createBookings } from '../bookings';
import { type Ends, endOf, hasEnded, violations, waitersOfEnded } from '../ends';
import { ids } from '../list/expect';
import { fanOut } from '../list/fan-out';
import { configOf } from '../stage';
import { Colleague } from './colleague';
import type { Report } from './message';

/** How many processes share how many parents of how many children. */
export interface Size {
  readonly processes: number;
  readonly parents: number;
  readonly children: number;
  /** How soon a waiting run looks again whether it has missed a wake-up: a child may end in the process that does not hold its parent. */
  readonly reconcileMs: number;
}

export interface Outcome {
  readonly violations: readonly string[];
  readonly seconds: number;
  /** Notices sent more than once: the local step after a fan-out, which the engine may begin twice. */
  readonly repeated: number;
}

const LOOK_MS = 50;
/** Passes without any progress after which none is expected any more, as a multiple of the reconcile time. */
const IDLE_RECONCILES = 15;
const IDLE_LEAST_MS = 15_000;

/** Have processes work on parents with quick children, and see how all of it ends. */
export async function playProcesses(kind: DatabaseKind, size: Size): Promise<Outcome> {
  const db = await TestDatabase.create(kind);
  const orm = await db.openReady(configOf(kind));
  await createBookings(orm);
  const names = ids('worker', size.processes);
  const colleagues = names.map(
    (name) => new Colleague({ name, kind: kind.name, dbName: db.dbName, reconcileMs: size.reconcileMs }),
  );
  try {
    await Promise.all(colleagues.map((colleague) => colleague.ready()));
    return await work(orm, colleagues, size);
  } finally {
    await Promise.all(colleagues.map((colleague) => colleague.stop()));
    await db.drop();
  }
}

async function work(orm: MikroORM, colleagues: readonly Colleague[], size: Size): Promise<Outcome> {
  const { processes, parents, children } = size;
  const began = performance.now();
  for (const [process, colleague] of colleagues.entries()) {
    const its = ids('parent', parents).filter((_, n) => n % processes === process);
    colleague.order({ what: 'start', parents: its, children });
  }
  const stuck = await untilEnded(orm, size);
  const seconds = (performance.now() - began) / 1000;
  const reports = await Promise.all(colleagues.map((colleague) => colleague.leave()));
  const ends = await endsOf(orm, reports, stuck);
  const scenario = fanOut('', parents, children);
  const repeated = Object.entries(ends.did).filter(([effect, times]) => effect.startsWith('notify ') && times > 1);
  return { violations: violations(scenario, ends), seconds, repeated: repeated.length };
}

/** Wait until all runs have ended, as long as anything happens; says what is left. */
async function untilEnded(orm: MikroORM, { parents, children, reconcileMs }: Size): Promise<string[]> {
  const idleMs = Math.max(IDLE_LEAST_MS, IDLE_RECONCILES * reconcileMs);
  let [before, since] = ['', performance.now()];
  for (;;) {
    const rows = await sql(orm).execute<{ status: string; n: unknown }[]>(
      'select status as status, count(*) as n from durable_workflow_runs group by status order by status',
    );
    const state = rows.map(({ status, n }) => `${n} ${status}`).join(', ');
    const ended = rows.filter(hasEnded as (row: { status: string }) => boolean).map(({ n }) => Number(n));
    if (ended.reduce((sum, n) => sum + n, 0) === parents * (children + 1)) return [];
    if (state !== before) [before, since] = [state, performance.now()];
    else if (performance.now() - since > idleMs) return [`nothing has happened for ${idleMs} ms: ${state}`];
    await delay(LOOK_MS);
  }
}

async function endsOf(
  orm: MikroORM,
  reports: readonly Extract<Report, { what: 'done' }>[],
  stuck: readonly string[],
): Promise<Ends> {
  const observer = new MikroOrmStateStore(orm);
  const runs = await observer.listRuns({});
  const did: Record<string, number> = {};
  for (const report of reports) {
    for (const [effect, times] of Object.entries(report.did)) did[effect] = (did[effect] ?? 0) + times;
  }
  return {
    runs: Object.fromEntries(runs.map((run) => [run.id, endOf(run)])),
    did,
    booked: await booked(orm),
    waiters: waitersOfEnded(runs, await observer.listSignalWaiters('')),
    troubles: [...stuck, ...reports.flatMap(({ troubles }) => troubles)],
  };
}
