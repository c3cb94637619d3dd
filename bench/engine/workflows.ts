import { setTimeout as delay } from 'node:timers/promises';
import { type StateStore, WorkflowEngine } from '@dudousxd/nestjs-durable-core';

export const STEPS = 10;
const QUIET_MS = 30;

/** An engine with a workflow of ten local steps, each with a small result. */
export function tenStepEngine(store: StateStore): WorkflowEngine {
  const engine = new WorkflowEngine({ store });
  engine.register('ten-steps', '1', async (ctx) => {
    let total = 0;
    for (let n = 0; n < STEPS; n += 1) {
      total += (await ctx.localStep(`step-${n}`, async () => ({ n, ok: true }))).n;
    }
    return { total };
  });
  return engine;
}

let batches = 0;

/**
 * Run `count` workflows with `inFlight` of them under way at any time; workflows per second. Ends are seen in the
 * engine's events, so that every store call is the engine's own.
 */
export async function runWorkflows(engine: WorkflowEngine, count: number, inFlight: number): Promise<number> {
  batches += 1;
  const prefix = `w${process.pid.toString(36)}-${batches}-`;
  const ends = new Map<string, () => void>();
  const unsubscribe = engine.subscribe((event) => {
    if (event.type === 'run.completed') ends.get(event.runId)?.();
    if (event.type === 'run.failed') throw new Error(`${event.runId} failed`);
  });
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const id = prefix + next++;
      const ended = new Promise<void>((resolve) => ends.set(id, resolve));
      await engine.start('ten-steps', { order: id }, id);
      await ended;
      ends.delete(id);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, caller));
  const seconds = (performance.now() - start) / 1000;
  unsubscribe();
  // What follows a run's end (its buffered completion) is still on its way when the run has ended.
  await delay(QUIET_MS);
  return count / seconds;
}
