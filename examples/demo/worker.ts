import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowEngine, type WorkflowRun } from '@dudousxd/nestjs-durable-core';
// An application imports from 'durable-store-mikro-orm'.
import { MikroOrmStateStore } from '../../lib';
import { openDatabase } from './database';
import { Shop } from './shop';
import { type Reporter, StepLog, watched } from './watch';
import type { WorkerSettings } from './workers';
import { NAMESPACE, orderWorkflow, VERSION, WORKFLOW } from './workflow';

const POLL_MS = 100;
/** Runs that one worker takes on at a time. */
const SLOTS = 4;

/** A worker process: an engine on the shared database, and a loop that asks for work. */
async function main(settings: WorkerSettings): Promise<void> {
  const orm = await openDatabase(settings.url, { ensureDatabase: false });
  const store = new MikroOrmStateStore(orm);
  const engine = new WorkflowEngine({
    store,
    namespace: NAMESPACE,
    leaseMs: settings.leaseMs,
    // A waiting run looks again after this time; an approval that the front office recorded is acted on then.
    reconcileMs: 1000,
  });
  const shop = new Shop(orm.em, settings.name, (step) => delay(between(settings.workMs[step])));
  const log = new StepLog(orm.em, settings.name);
  engine.register(WORKFLOW, VERSION, watched(orderWorkflow(shop), log, report));
  engine.subscribe(({ type, runId, error }) => {
    if (type === 'run.completed') report({ what: 'completed', orderId: runId });
    if (type === 'run.failed') report({ what: 'failed', orderId: runId, detail: error?.message });
  });

  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  process.once('SIGINT', () => stop.abort());
  // Without its parent a worker has no business, also when the parent went while this one was booting.
  process.once('disconnect', () => stop.abort());
  if (!process.connected) stop.abort();

  report({ what: 'ready' });
  while (!stop.signal.aborted) {
    await poll(engine, store).catch((error) => report({ what: 'trouble', detail: String(error) }));
    await delay(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  await engine.drain(10_000);
  // The engine tells a finished run's parent without waiting for it; let that through before the connections close.
  await delay(250);
  await orm.close(true);
  if (process.connected) process.disconnect();
}

/**
 * Everything this worker can do now. `engine.runPending()` and `engine.resumeDueTimers()` do the same for a whole list, but
 * read the clock once for all of its leases; with leases as short as the demo's, each run gets its own reading.
 */
async function poll(engine: WorkflowEngine, store: MikroOrmStateStore): Promise<void> {
  await engine.recoverIncomplete();
  await runEach(engine, await store.listDueTimers(Date.now(), NAMESPACE));
  await runEach(engine, await store.listPendingRuns(2 * SLOTS, NAMESPACE));
}

/** Try each run, a few at a time; the lease decides which worker gets it, and a lost one costs a single update. */
async function runEach(engine: WorkflowEngine, runs: WorkflowRun[]): Promise<void> {
  const queue = runs.values();
  const slot = async () => {
    for (const run of queue) await engine.runOne(run.id);
  };
  await Promise.all(Array.from({ length: SLOTS }, slot));
}

const report: Reporter = (report) => {
  // The callback takes the error of a parent that is just gone; without one it would end this process.
  if (process.connected) process.send?.({ at: Date.now(), ...report }, () => undefined);
};

function between([least, most]: readonly [number, number]): number {
  return least + Math.random() * (most - least);
}

main(JSON.parse(process.env.DEMO_WORKER ?? '{}') as WorkerSettings).catch((error) => {
  console.error(error);
  process.exit(1);
});
