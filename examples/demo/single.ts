import type { MikroORM } from '@mikro-orm/core';
import type { DemoDatabase } from './database';
import { FrontOffice, orderId } from './front-office';
import { ChargeEntity, ShipmentEntity } from './shop';
import { countRows, excerpt, type RowCounts } from './tables';
import { Timeline } from './timeline';
import { isGood, judge, verdictLines } from './verdict';
import type { Report } from './watch';
import { Worker, type WorkerSettings } from './workers';

type Print = (line: string) => void;

/** What the tables held at one moment. */
interface Snapshot {
  counts: RowCounts;
  lines: string[];
}

const ORDER = { id: orderId(1), item: 'espresso machine', amountCents: 24900 };

/** Longest time for one part of the story, on the slowest machine. */
const PATIENCE_MS = 180_000;

/** How long shipping takes. The first worker dies before it is done, however late this process hears that it has begun. */
const SHIP_MS = { A: PATIENCE_MS, B: 200 };

/** One order, one crash: worker A dies while it ships, worker B finishes. Returns whether all went well. */
export async function tellStory(database: DemoDatabase, orm: MikroORM, print: Print): Promise<boolean> {
  const office = new FrontOffice(orm);
  const timeline = new Timeline(print);
  const cast = new Cast(database.url, timeline);
  let atCrash: Snapshot;
  try {
    await office.place(ORDER);
    timeline.add('front office', 'order', `${ORDER.id} placed: ${ORDER.item}, 249.00`);

    const a = cast.enter('A');
    await cast.until('waiting');
    await office.approve(ORDER.id, 'Ada');
    timeline.add('front office', 'approval', 'Ada approves: signal recorded');
    await cast.until('started', 'ship');
    await a.kill();
    const killedAt = Date.now();
    const lockedUntil = (await office.store.getRun(ORDER.id))?.lockedUntil ?? killedAt;
    const leaseLeft = ((lockedUntil - killedAt) / 1000).toFixed(1);
    timeline.add(
      a.label,
      'SIGKILL',
      `dead in the middle of shipping; its lease lasts another ${leaseLeft} s`,
      killedAt,
    );
    atCrash = await snapshot(orm);

    const b = cast.enter('B');
    await cast.until('completed');
    await b.dismiss();
    timeline.add(b.label, 'SIGTERM', 'drained and left');
  } finally {
    await cast.leave();
  }
  const atEnd = await snapshot(orm);

  const verdict = await judge(orm.em, office.store);
  const charges = await orm.em.fork().find(ChargeEntity, { orderId: ORDER.id });
  const shipments = await orm.em.fork().count(ShipmentEntity, { orderId: ORDER.id });
  print('');
  print(`The card was charged ${times(charges.length)}, by ${charges.map((charge) => charge.worker).join(' and ')}.`);
  print(`Shipping began ${times(verdict.begun.ship)}; the parcel left ${times(shipments)}.`);
  print('');
  printTables(print, atCrash, atEnd);
  print('');
  for (const line of verdictLines(verdict)) print(line);
  return isGood(verdict) && !cast.broke;
}

/** The workers on stage, one after the other, and what they report. */
class Cast {
  private readonly workers: Worker[] = [];
  /** Of the worker that entered last. */
  private reports: Report[] = [];
  private heard: () => void = () => undefined;

  constructor(
    private readonly url: string,
    private readonly timeline: Timeline,
  ) {}

  enter(who: 'A' | 'B'): Worker {
    const reports: Report[] = [];
    const settings: WorkerSettings = {
      name: `worker ${who}`,
      url: this.url,
      // Short, so that the second worker need not wait long for the dead one's run.
      leaseMs: 1500,
      workMs: { reserve: [40, 40], charge: [40, 40], ship: [SHIP_MS[who], SHIP_MS[who]] },
    };
    const worker = Worker.start(settings, (report) => {
      this.timeline.addReport(report, worker.label);
      reports.push(report);
      this.heard();
    });
    this.reports = reports;
    this.workers.push(worker);
    return worker;
  }

  /** Until the worker that entered last has reported this. */
  async until(what: Report['what'], step?: string): Promise<void> {
    const worker = this.workers.at(-1) as Worker;
    let timer: NodeJS.Timeout | undefined;
    const reported = new Promise<void>((resolve, reject) => {
      this.heard = () => {
        if (this.reports.some((report) => report.what === what && (!step || report.step === step))) resolve();
      };
      this.heard();
      timer = setTimeout(() => reject(new Error(`no report '${what}' from ${worker.label}`)), PATIENCE_MS);
    });
    const ended = worker.ended.then(() => {
      throw new Error(`${worker.label} ended before it reported '${what}'`);
    });
    await Promise.race([reported, ended]).finally(() => clearTimeout(timer));
  }

  async leave(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.dismiss()));
  }

  get broke(): boolean {
    return this.workers.some((worker) => worker.broke);
  }
}

async function snapshot({ em }: MikroORM): Promise<Snapshot> {
  return { counts: await countRows(em), lines: await excerpt(em, ORDER.id) };
}

function printTables(print: Print, atCrash: Snapshot, atEnd: Snapshot): void {
  print(`${'rows in'.padEnd(26)}  when A died  at the end`);
  for (const [table, count] of Object.entries(atEnd.counts)) {
    const numbers = `${String(atCrash.counts[table]).padStart(11)}  ${String(count).padStart(10)}`;
    print(`${table.padEnd(26)}  ${numbers}  ${REMARKS[table] ?? ''}`);
  }
  print('');
  print('when A died');
  for (const line of atCrash.lines) print(`  ${line}`);
  print('at the end');
  for (const line of atEnd.lines) print(`  ${line}`);
}

const REMARKS: Record<string, string> = {
  durable_workflow_runs: 'the order, its status and its lease',
  durable_step_checkpoints: 'one for each step',
  durable_run_attributes: 'what the run can be searched by',
  durable_signal_waiters: 'taken when the approval came',
  durable_buffered_signals: 'the completion, for a parent run; this order has none',
};

function times(n: number): string {
  return ['not at all', 'once', 'twice'][n] ?? `${n} times`;
}
