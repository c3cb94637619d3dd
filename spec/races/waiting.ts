import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { StateStore } from '../../lib';

/** A workflow whose run waits for one signal and returns its payload. */
export const WAITING = 'waiting';

/** The token that a run of {@link WAITING} waits on. */
export function tokenOf(runId: string): string {
  return `signal:${runId}`;
}

/** An engine that knows {@link WAITING} and never looks again by itself: a run that nobody wakes stays asleep. */
export function waitingEngine(store: StateStore): WorkflowEngine {
  const engine = new WorkflowEngine({ store, reconcileMs: 0 });
  engine.register(WAITING, '1', async (ctx) => ctx.waitForSignal(tokenOf(ctx.runId)));
  return engine;
}
