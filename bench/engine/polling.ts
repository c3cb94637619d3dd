import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';

const POLL_MS = 1000;

/** The loop of a service: ask for work every second, until the signal aborts. */
export async function poll(engine: WorkflowEngine, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await engine.runPending();
    await engine.recoverIncomplete();
    await engine.resumeDueTimers();
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}
