import { setTimeout as delay, setImmediate as macrotask } from 'node:timers/promises';
import { type StateStore, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { InFlight, quiet } from '../../lib/in-flight';

export const STEPS = 10;

/** How work comes: what a caller waits for before it starts its next run, and a step before it returns. */
export interface Arrival {
  readonly name: string;
  readonly start: (caller: number, turn: number) => Promise<unknown>;
  readonly step: () => Promise<unknown>;
}

const atOnce = async () => undefined;
/** A time until the next of what happens at random. */
const someOf = (averageMs: number) => -Math.log(1 - Math.random()) * averageMs;

export const ARRIVALS: readonly [Arrival, ...Arrival[]] = [
  // Each caller starts a run when its last has ended, and callers begin one after the other.
  { name: 'in their own time', start: (caller, turn) => (turn === 0 ? delay(caller * 2) : atOnce()), step: atOnce },
  { name: 'at random times', start: () => delay(someOf(5)), step: atOnce },
  { name: 'with steps of 1 to 5 ms', start: atOnce, step: () => delay(1 + Math.random() * 4) },
  // All callers begin in one tick, and what they do keeps them in step.
  { name: 'in step', start: atOnce, step: atOnce },
];

/** Longer than any batch takes. */
const BOUND_MS = 600_000;

let runs = 0;

/** The real engine on a store, with a workflow of ten local steps, each with a small result. */
export class TenSteps {
  private readonly engine: WorkflowEngine;
  private readonly calls = new InFlight();
  private readonly ends = new Map<string, () => void>();

  constructor(
    store: StateStore,
    private readonly arrival: Arrival = ARRIVALS[0],
  ) {
    this.engine = new WorkflowEngine({ store: tracked(store, this.calls) });
    this.engine.register('ten-steps', '1', async (ctx) => {
      let total = 0;
      for (let n = 0; n < STEPS; n += 1) {
        const step = async () => {
          await this.arrival.step();
          return { n, ok: true };
        };
        total += (await ctx.localStep(`step-${n}`, step)).n;
      }
      return { total };
    });
    this.engine.subscribe((event) => {
      if (event.type === 'run.completed') this.ends.get(event.runId)?.();
      if (event.type === 'run.failed') throw new Error(`${event.runId} failed`);
    });
  }

  /**
   * Run `count` workflows with `inFlight` of them under way at any time; workflows per second. The clock stops when the last
   * call of the store has settled: what a run leaves to do behind its end is part of what it costs.
   */
  async run(count: number, inFlight: number): Promise<number> {
    let next = 0;
    const caller = async (number: number) => {
      for (let turn = 0; next < count; turn += 1) {
        next += 1;
        await this.arrival.start(number, turn);
        await this.one();
      }
    };
    const start = performance.now();
    await Promise.all(Array.from({ length: inFlight }, (_, number) => caller(number)));
    await this.settled();
    return count / ((performance.now() - start) / 1000);
  }

  /**
   * Start `count` workflows at random times, `perSecond` on average, whatever has become of those before; of each the
   * milliseconds from when it was due to its end.
   */
  async open(count: number, perSecond: number): Promise<number[]> {
    const started: Promise<number>[] = [];
    let due = performance.now();
    for (let n = 0; n < count; n += 1) {
      due += someOf(1000 / perSecond);
      const since = due;
      const early = due - performance.now();
      if (early > 0) await delay(early);
      started.push(this.one().then(() => performance.now() - since));
    }
    const times = await Promise.all(started);
    await this.settled();
    return times;
  }

  /** One run from its start to its end, which is seen in the engine's events, so that every store call is the engine's own. */
  private async one(): Promise<void> {
    runs += 1;
    const id = `w${process.pid.toString(36)}-${runs}`;
    const ended = new Promise<void>((resolve) => this.ends.set(id, resolve));
    await this.engine.start('ten-steps', { order: id }, id);
    await ended;
    this.ends.delete(id);
  }

  private async settled(): Promise<void> {
    await macrotask();
    await quiet(this.calls, BOUND_MS);
  }
}

/** The store, with its calls counted while they are under way. */
function tracked(store: StateStore, calls: InFlight): StateStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const answer: unknown = value.apply(target, args);
        return answer instanceof Promise ? calls.track(() => answer) : answer;
      };
    },
  });
}
