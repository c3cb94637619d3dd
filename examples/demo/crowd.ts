import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import { Approvals } from './approvals';
import { Crew } from './crew';
import type { DemoDatabase } from './database';
import { FrontOffice, orderId } from './front-office';
import type { Progress } from './progress';
import { isGood, judge, type Verdict, verdictLines } from './verdict';

export interface CrowdOptions {
  workers: number;
  runs: number;
  kills: number;
}

/** The demo gives up when no order has ended for this long. */
const STALLED_MS = 180_000;
/** Roughly what the workers report about one order. */
const REPORTS_PER_ORDER = 8;

/** Many orders, competing workers, and kills at random moments. Returns whether all went well. */
export async function runCrowd(
  database: DemoDatabase,
  orm: MikroORM,
  { workers, runs, kills }: CrowdOptions,
  progress: Progress,
): Promise<boolean> {
  const print = (line: string) => progress.print(line);
  const startedAt = Date.now();
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  const office = new FrontOffice(orm);
  const approvals = new Approvals(office);
  const reportsPerKill = (runs * REPORTS_PER_ORDER) / Math.max(1, kills);
  const crew = new Crew({ url: database.url, workers, kills, reportsPerKill }, print);

  let ended = 0;
  try {
    const placing = placeOrders(office, approvals, runs);
    // Awaited below; until then a failure must not count as unhandled.
    placing.catch(() => undefined);
    for (let endedAt = Date.now(); ended < runs && Date.now() - endedAt < STALLED_MS; await delay(200)) {
      crew.round();
      await approvals.round();
      const now = await office.endedRuns();
      if (now !== ended) endedAt = Date.now();
      ended = now;
      progress.show(`${ended}/${runs} orders ended, ${crew.killed} kills, ${seconds()}; at work: ${crew.names}`);
    }
    await placing;
  } finally {
    await crew.dismiss();
  }

  const verdict = await judge(orm.em, office.store);
  print('');
  print(
    `${crew.hired} workers, ${workers} at a time: ${crew.killed} killed with SIGKILL and replaced, ` +
      `${crew.broken} broke down by themselves. ${seconds()}`,
  );
  for (const line of explanation(verdict, crew.chargesBegun, approvals.given)) print(line);
  for (const line of verdictLines(verdict)) print(line);
  return isGood(verdict) && crew.broken === 0;
}

async function placeOrders(office: FrontOffice, approvals: Approvals, runs: number): Promise<void> {
  for (let n = 1; n <= runs; n += 1) {
    await office.place({ id: orderId(n), item: `item ${n}`, amountCents: 100 * n });
    if (n % 2 === 0) await approvals.giveEarly(orderId(n));
  }
}

/** What is promised of each step, beside what happened. */
function explanation(verdict: Verdict, chargesBegun: number, given: Approvals['given']): string[] {
  const { orders, charges, begun } = verdict;
  return [
    `  charge    begun ${chargesBegun} times, committed ${charges} times for ${orders} orders: the charge and its checkpoint`,
    '            are one transaction (ctx.transaction), a kill inside it undoes both',
    `  reserve   begun ${begun.reserve} times, ship ${begun.ship} times for ${orders} orders: a kill inside a ctx.localStep makes it`,
    '            run again; its effect is keyed by the order, so it counts once',
    `  approval  ${given.early} sent before the order waited, ${given.late} after, ${given.again} again: a worker killed between taking a`,
    '            kept signal and saving its checkpoint loses it (the engine does this in two calls), so senders repeat',
  ];
}
