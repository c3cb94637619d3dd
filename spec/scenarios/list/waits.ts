import { SignalTimeoutError, type WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { Ends } from '../ends';
import type { Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids } from './expect';

const RUNS = 8;
const SIGNALLED = ids('signalled', RUNS);
const TIMED_OUT = ids('timed-out', RUNS);
const CANCELLED = ids('cancelled', RUNS);
const CONTESTED = ids('contested', 20);
const LONG_MS = 3_600_000;
const SHORT_MS = 120;

/** Runs that wait for a signal with a time limit: paid when it comes, reminded of when it does not. */
function invoices(engine: WorkflowEngine, world: World): void {
  engine.register('invoice', '1', async (ctx, input) => {
    const { timeoutMs } = input as { timeoutMs: number };
    try {
      const amount = await ctx.waitForSignal<number>(`paid:${ctx.runId}`, { timeoutMs });
      await ctx.transaction('book', (raw) => world.stage.book(raw, `book ${ctx.runId}`));
      return amount;
    } catch (error) {
      if (!(error instanceof SignalTimeoutError)) throw error;
      await ctx.localStep('remind', async () => void world.ledger.did(`remind ${ctx.runId}`));
      return 'reminded';
    }
  });
}

const eachAlone: Scenario = {
  name: 'a signal, a timer and a cancellation each end the wait they come to',
  register: invoices,
  async drive(world) {
    const engine = world.engine();
    for (const id of [...SIGNALLED, ...CANCELLED]) await engine.start('invoice', { timeoutMs: LONG_MS }, id);
    for (const id of TIMED_OUT) await engine.start('invoice', { timeoutMs: SHORT_MS }, id);
    await world.untilStatus('suspended', [...SIGNALLED, ...CANCELLED]);
    await Promise.all([
      ...SIGNALLED.map((id, n) => engine.signal(`paid:${id}`, n)),
      ...CANCELLED.map((id) => engine.cancel(id)),
    ]);
    await world.untilEnded(3 * RUNS);
  },
  expected() {
    const expected = new Expectation();
    for (const [n, id] of SIGNALLED.entries()) expected.completed(id, n).books(`book ${id}`);
    for (const id of TIMED_OUT) expected.completed(id, 'reminded').does(`remind ${id}`);
    for (const id of CANCELLED) expected.ended(id, 'cancelled');
    return expected;
  },
  leaves: ['paid:cancelled-'],
};

const allAtOnce: Scenario = {
  name: 'of a signal, a timer and a cancellation that meet, one ends the run, with what belongs to it and no more',
  register: invoices,
  async drive(world) {
    const engine = world.engine();
    for (const id of CONTESTED) await engine.start('invoice', { timeoutMs: LONG_MS }, id);
    await world.untilStatus('suspended', CONTESTED);
    world.skip(LONG_MS);
    await Promise.all(
      CONTESTED.flatMap((id, n) => {
        const signal = () => engine.signal(`paid:${id}`, 7);
        const cancel = () => engine.cancel(id);
        const timer = () => engine.runOne(id);
        const order = [signal, cancel, timer];
        return [...order.slice(n % 3), ...order.slice(0, n % 3)].map((act) => act());
      }),
    );
    await world.untilEnded(CONTESTED.length);
  },
  judge: ({ runs, did, booked }) => CONTESTED.flatMap((id) => wrongInvoice(id, { runs, did, booked })),
};

/** A run that has ended one way has the effect of that way once, and not the effect of the other. */
function wrongInvoice(id: string, { runs, did, booked }: Pick<Ends, 'runs' | 'did' | 'booked'>): string[] {
  const end = runs[id];
  const [booking, reminder] = [booked[`book ${id}`] ?? 0, did[`remind ${id}`] ?? 0];
  const right =
    (end === 'completed 7' && booking === 1 && reminder === 0) ||
    (end === 'completed "reminded"' && booking === 0 && reminder === 1) ||
    (end === 'cancelled' && booking + reminder <= 1);
  return right ? [] : [`${id}: ${end}, booked ${booking} times, reminded ${reminder} times`];
}

const WATCHED = ids('approval', 4);
const READERS = 3;
/** A signalled run completes within some thirty store calls; one that waits for its readers is read thousands of times. */
const READS_TO_COMPLETE = 120;

const watched: Scenario = {
  name: 'runs that are read without a pause complete as soon as they are signalled',
  register(engine, world) {
    engine.register('approval', '1', async (ctx) => {
      await ctx.localStep('ask', async () => void world.ledger.did(`ask ${ctx.runId}`));
      return ctx.waitForSignal(`approved:${ctx.runId}`);
    });
  },
  async drive(world) {
    const engine = world.engine();
    const store = world.store();
    for (const id of WATCHED) {
      await engine.start('approval', {}, id);
      const readers = new Readers(world);
      for (let n = 0; n < READERS; n += 1) readers.start(() => engine.getRun(id));
      readers.start(() => Promise.all([store.listRuns({ limit: 20 }), store.listCheckpoints(id), store.getRun(id)]));
      await world.untilStatus('suspended', [id]);
      const waiting = engine.waitForRun(id, { until: 'terminal' });
      await readers.during(async () => {
        await engine.signal(`approved:${id}`, id);
        await waiting;
      });
    }
  },
  expected() {
    const expected = new Expectation();
    for (const id of WATCHED) expected.completed(id, id).does(`ask ${id}`);
    return expected;
  },
};

/** Loops that read without a pause: dashboards, status pages, callers that wait. */
class Readers {
  private on = true;
  private reads = 0;
  private readonly loops: Promise<void>[] = [];

  constructor(private readonly world: World) {}

  start(read: () => Promise<unknown>): void {
    this.loops.push(this.loop(read));
  }

  /** Do something to what is read, and note when one reader has read it too often meanwhile; then stop. */
  async during(work: () => Promise<void>): Promise<void> {
    const from = this.reads;
    await work();
    const each = Math.round((this.reads - from) / this.loops.length);
    if (each > READS_TO_COMPLETE) this.world.trouble('a run came after its readers', `${each} reads of each`);
    this.on = false;
    await Promise.all(this.loops);
  }

  private async loop(read: () => Promise<unknown>): Promise<void> {
    while (this.on) {
      await read();
      this.reads += 1;
      // The engine's own store answers in microtasks, and a loop of those would be the only thing that runs.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

export const waits: readonly Scenario[] = [eachAlone, allAtOnce, watched];
