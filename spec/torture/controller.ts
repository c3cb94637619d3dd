import { setTimeout as delay } from 'node:timers/promises';
import { TERMINAL_RUN_STATUSES, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { sql } from '../support/databases';
import type { Crew } from './crew';
import { describe } from './failure';
import type { Ledger } from './ledger';
import { observed } from './observed-store';
import { Observer } from './observer';
import type { Options } from './options';
import type { Random } from './random';
import { Saboteur } from './saboteur';
import { Sender } from './sender';
import { NAMESPACE, ORDER, orderId, partsOf, register } from './workflow';

const PATIENT = { retry: { attempts: 10_000, forMs: 60_000 } };
const ROUND_MS = 250;
/** How often the charges are counted while the torture runs: all of them are read for it. */
const CHARGES_EVERY_MS = 5000;
/** A run that failed is queued again at most so often. */
const MOST_REQUEUES = 5;
/** A finished child whose parent still waits for it is announced again after this time. */
const CHILD_AGAIN_MS = 4000;

/** A store for a process that starts and signals runs but must not execute them. */
class EnqueueOnlyStore extends MikroOrmStateStore {
  override async tryLockRun(): Promise<boolean> {
    return false;
  }
}

/** The outside world of the workflows: it orders, approves, delivers and, as an operator would, queues failed runs again. */
export class Controller {
  started = 0;
  /** Runs that failed and were queued again. */
  failures = 0;
  /** Steps charged more than once, as last seen: the violation that shows while the torture runs. */
  chargedAgain = 0;
  /** Runs by status, as last seen. */
  statuses = new Map<string, number>();
  private readonly store: MikroOrmStateStore;
  private readonly engine: WorkflowEngine;
  private readonly sender: Sender;
  private chargesReadAt = 0;
  private readonly requeues = new Map<string, number>();
  private readonly announcedAt = new Map<string, number>();

  constructor(
    private readonly orm: MikroORM,
    private readonly ledger: Ledger,
    private readonly random: Random,
    reconcileMs: number,
  ) {
    this.store = new EnqueueOnlyStore(orm, PATIENT);
    this.engine = new WorkflowEngine({
      store: observed(this.store, ledger),
      namespace: NAMESPACE,
      runDispatcher: { dispatch: () => undefined },
    });
    // Starting a run needs its name and version; the bodies never run here.
    register(this.engine, new Observer(ledger, random, new Saboteur(orm, random, undefined)));
    this.sender = new Sender(this.engine, ledger, 2 * reconcileMs);
  }

  get unfinished(): number {
    const ended = TERMINAL_RUN_STATUSES.reduce((sum, status) => sum + (this.statuses.get(status) ?? 0), 0);
    return this.total - ended;
  }

  get completed(): number {
    return this.statuses.get('completed') ?? 0;
  }

  get total(): number {
    return [...this.statuses.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Order until `enough`, as fast as `rate` (per second) and `inFlight` allow; two of three orders go through a worker. */
  async order(
    crew: Crew,
    enough: () => boolean,
    { rate, inFlight }: Pick<Options, 'rate' | 'inFlight'>,
  ): Promise<void> {
    while (!enough()) {
      await delay((this.random.between(0.5, 1.5) * 1000) / rate);
      if (this.unfinished >= inFlight) continue;
      this.started += 1;
      const n = this.started;
      if (n % 3 === 0 || !crew.order({ start: n })) await this.start(n).catch((error) => this.note(error));
    }
  }

  /** See to the runs once, and again, until `done`. */
  async attend(done: () => boolean): Promise<void> {
    while (!done()) {
      await this.round().catch((error) => this.note(error));
      await delay(ROUND_MS);
    }
  }

  /** Wait until every run has completed, or `boundMs`. */
  async settled(boundMs: number): Promise<void> {
    const until = performance.now() + boundMs;
    for (let quiet = 0; quiet < 3 && performance.now() < until; await delay(2 * ROUND_MS)) {
      // A worker may still be starting what it was asked for, and a finished run have a child that began late.
      quiet = this.completed === this.total ? quiet + 1 : 0;
    }
  }

  private async start(n: number): Promise<void> {
    const run = orderId(n);
    await this.engine.start(ORDER, { n }, run);
    this.ledger.write({ kind: 'started', run, workflow: ORDER });
    const { approval, parcel } = partsOf({ n });
    if (approval && this.random.chance(0.5)) await this.sender.approveEarly(run);
    if (parcel && this.random.chance(0.5)) await this.sender.deliverEarly(run);
  }

  private async round(): Promise<void> {
    await this.count();
    const waiters = await this.store.listSignalWaiters('');
    await this.sender.round(waiters.filter(() => this.random.chance(0.2)));
    await this.announceChildren(waiters.map(({ token }) => token));
    await this.requeueFailed();
  }

  private async count(): Promise<void> {
    const text = 'select status as status, count(*) as runs from durable_workflow_runs group by status';
    const rows = await sql(this.orm).execute<{ status: string; runs: unknown }[]>(text);
    this.statuses = new Map(rows.map(({ status, runs }) => [status, Number(runs)]));
    if (performance.now() - this.chargesReadAt < CHARGES_EVERY_MS) return;
    this.chargesReadAt = performance.now();
    const again = 'select run_id from torture_charges group by run_id, step having count(*) > 1';
    this.chargedAgain = (await sql(this.orm).execute<unknown[]>(again)).length;
  }

  /** The engine tells a parent once; a process that dies with that message in its hands takes it along. */
  private async announceChildren(tokens: readonly string[]): Promise<void> {
    for (const token of tokens.filter((text) => text.startsWith('child:'))) {
      const at = this.announcedAt.get(token);
      if (at === undefined) this.announcedAt.set(token, performance.now());
      if (at === undefined || performance.now() - at < CHILD_AGAIN_MS) continue;
      this.announcedAt.delete(token);
      const child = await this.store.getRun(token.slice('child:'.length));
      if (child?.status !== 'completed') continue;
      await this.engine.signal(token, { ok: true, value: child.output });
      this.ledger.write({ kind: 'child-repeated', run: child.id });
    }
  }

  private async requeueFailed(): Promise<void> {
    for (const run of await this.store.listRuns({ status: 'failed', namespace: NAMESPACE })) {
      const times = this.requeues.get(run.id) ?? 0;
      // A process that does not know it has lost the lease may have written this: leave the run to who holds it.
      const leased = (run.lockedUntil ?? 0) > Date.now();
      if (times >= MOST_REQUEUES || leased || Date.now() - run.updatedAt.getTime() < 1000) continue;
      this.requeues.set(run.id, times + 1);
      this.failures += 1;
      this.ledger.write({ kind: 'requeued', run: run.id, reason: run.error?.message.slice(-200) ?? '' });
      await this.engine.requeue(run.id);
    }
  }

  /** Only a restart of the server gets in the way of the controller, which reaches it directly. */
  private note(error: unknown): void {
    const failure = describe(error);
    if (failure.operation !== undefined) this.ledger.write({ kind: 'caught', failure });
    else if (failure.cause === 'final') throw error;
  }
}
