import { type RunResult, type StateStore, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { poll } from './polling';

export const CHILDREN = 50;

/** A parent that has not ended by then is not waited for any longer: one that lost a child's result sleeps for ever. */
const PATIENCE_MS = 10_000;

/** What became of some parents. */
export interface FanOutReport {
  /** Of each parent that ended with every child's result, the milliseconds from its start to its end. */
  readonly times: readonly number[];
  readonly seconds: number;
}

let runs = 0;

/** The real engine on a store, with a workflow that waits for fifty children of one step each, and the loop of a service. */
export class FanOut {
  private readonly engine: WorkflowEngine;
  private readonly stop = new AbortController();
  private readonly polling: Promise<void>;

  constructor(store: StateStore) {
    this.engine = new WorkflowEngine({ store });
    this.engine.register('child', '1', async (ctx, input) =>
      ctx.localStep('work', async () => (input as { n: number }).n),
    );
    this.engine.register('parent', '1', async (ctx) => {
      const inputs = Array.from({ length: CHILDREN }, (_, n) => ({ n }));
      return (await ctx.all('child', inputs)).reduce<number>((sum, n) => sum + (n as number), 0);
    });
    this.polling = poll(this.engine, this.stop.signal);
  }

  /** Run `count` parents, `inFlight` at a time. */
  async run(count: number, inFlight: number): Promise<FanOutReport> {
    const times: number[] = [];
    let next = 0;
    const caller = async () => {
      for (; next < count; ) {
        next += 1;
        const since = performance.now();
        if (await this.endsWell()) times.push(performance.now() - since);
      }
    };
    const since = performance.now();
    await Promise.all(Array.from({ length: inFlight }, caller));
    return { times, seconds: (performance.now() - since) / 1000 };
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.polling;
    await this.engine.drain(PATIENCE_MS);
  }

  private async endsWell(): Promise<boolean> {
    runs += 1;
    const id = `fan-${process.pid.toString(36)}-${runs}`;
    await this.engine.start('parent', {}, id);
    const result = await this.engine
      .waitForRun(id, { until: 'terminal', timeoutMs: PATIENCE_MS })
      .catch((): RunResult | undefined => undefined);
    return result?.status === 'completed' && result.output === (CHILDREN * (CHILDREN - 1)) / 2;
  }
}
