import { setImmediate as macrotask } from 'node:timers/promises';
import { type StateStore, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { InFlight, quiet } from '../../lib/in-flight';

export const STEPS = 10;
/** Longer than any batch takes. */
const BOUND_MS = 600_000;

let batches = 0;

/** The real engine on a store, with a workflow of ten local steps, each with a small result. */
export class TenSteps {
  private readonly engine: WorkflowEngine;
  private readonly calls = new InFlight();

  constructor(store: StateStore) {
    this.engine = new WorkflowEngine({ store: tracked(store, this.calls) });
    this.engine.register('ten-steps', '1', async (ctx) => {
      let total = 0;
      for (let n = 0; n < STEPS; n += 1) {
        total += (await ctx.localStep(`step-${n}`, async () => ({ n, ok: true }))).n;
      }
      return { total };
    });
  }

  /**
   * Run `count` workflows with `inFlight` of them under way at any time; workflows per second. Ends are seen in the
   * engine's events, so that every store call is the engine's own. The clock stops when the last call of the store has
   * settled: what a run leaves to do behind its end is part of what it costs.
   */
  async run(count: number, inFlight: number): Promise<number> {
    batches += 1;
    const prefix = `w${process.pid.toString(36)}-${batches}-`;
    const ends = new Map<string, () => void>();
    const unsubscribe = this.engine.subscribe((event) => {
      if (event.type === 'run.completed') ends.get(event.runId)?.();
      if (event.type === 'run.failed') throw new Error(`${event.runId} failed`);
    });
    let next = 0;
    const caller = async () => {
      while (next < count) {
        const id = prefix + next++;
        const ended = new Promise<void>((resolve) => ends.set(id, resolve));
        await this.engine.start('ten-steps', { order: id }, id);
        await ended;
        ends.delete(id);
      }
    };
    const start = performance.now();
    await Promise.all(Array.from({ length: inFlight }, caller));
    await macrotask();
    await quiet(this.calls, BOUND_MS);
    const seconds = (performance.now() - start) / 1000;
    unsubscribe();
    return count / seconds;
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
