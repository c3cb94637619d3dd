/** An engine process on the database under torture. */
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowEngine, type WorkflowRun } from '@dudousxd/nestjs-durable-core';
import { MikroOrmStateStore } from '../../lib';
import { open } from './database';
import { describe } from './failure';
import { Ledger } from './ledger';
import { observed } from './observed-store';
import { Observer } from './observer';
import { Random } from './random';
import { Saboteur } from './saboteur';
import { Sender } from './sender';
import { type Order, UNHANDLED_EXIT, type Word, type WorkerSettings } from './worker-settings';
import { NAMESPACE, ORDER, orderId, register } from './workflow';

const POLL_MS = 120;
const DRAIN_MS = 5000;
/** Turns that one poll takes on at a time. */
const SLOTS = 6;
/** Of the waiters a worker sees, it sends to this share: the others are left to its colleagues. */
const SHARE = 0.4;

const settings = JSON.parse(process.env.TORTURE_WORKER ?? '{}') as WorkerSettings;
const ledger = new Ledger(settings.ledgers, settings.name);
const stop = new AbortController();

for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error: unknown) => {
    ledger.write({ kind: 'unhandled', event, failure: describe(error) });
    process.exit(UNHANDLED_EXIT);
  });
}

async function main(): Promise<void> {
  const random = new Random(settings.seed);
  const orm = await open(settings.target);
  const store = new MikroOrmStateStore(orm);
  const saboteur = new Saboteur(orm, random, settings.sabotage, () => say('sabotaged'));
  const engine = engineOn(store, new Observer(ledger, random, saboteur));
  listen(engine);
  const sender = new Sender(engine, ledger, 3 * settings.reconcileMs);
  const wakes = loop(() => wake(engine, store));
  const sends = loop(async () => {
    const waiters = [...(await store.listSignalWaiters('approve:')), ...(await store.listSignalWaiters('event:'))];
    await sender.round(waiters.filter(() => random.chance(SHARE)));
  });
  await Promise.all([wakes, sends]);
  await engine.drain(DRAIN_MS);
  await store.settled();
  await orm.close(true);
  process.exit(0);
}

function engineOn(store: MikroOrmStateStore, observer: Observer): WorkflowEngine {
  const engine = new WorkflowEngine({
    store: observed(store, ledger),
    namespace: NAMESPACE,
    instanceId: `${settings.name}-${process.pid}`,
    leaseMs: settings.leaseMs,
    reconcileMs: settings.reconcileMs,
  });
  register(engine, observer);
  engine.subscribe(({ type, runId: run }) => {
    if (type === 'run.completed') ledger.write({ kind: 'completed', run });
  });
  return engine;
}

/** Everything this worker can do now. Each lease gets its own reading of the clock, as leases are short. */
async function wake(engine: WorkflowEngine, store: MikroOrmStateStore): Promise<void> {
  await engine.recoverIncomplete();
  await runEach(engine, await store.listDueTimers(Date.now(), NAMESPACE));
  await runEach(engine, await store.listPendingRuns(2 * SLOTS, NAMESPACE));
}

async function runEach(engine: WorkflowEngine, runs: WorkflowRun[]): Promise<void> {
  const queue = runs.values();
  const slot = async () => {
    for (const run of queue) await engine.runOne(run.id).catch(note);
  };
  await Promise.all(Array.from({ length: SLOTS }, slot));
}

async function loop(work: () => Promise<void>): Promise<void> {
  while (!stop.signal.aborted) {
    await work().catch(note);
    await delay(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

function note(error: unknown): void {
  ledger.write({ kind: 'caught', failure: describe(error) });
}

/** Start what the controller asks for, and end with it. */
function listen(engine: WorkflowEngine): void {
  process.on('message', ({ start: n }: Order) => {
    const run = orderId(n);
    const started = engine.start(ORDER, { n }, run, n % 5 === 0 ? { searchAttributes: { n } } : {});
    started.then(() => ledger.write({ kind: 'started', run, workflow: ORDER }), note);
  });
  process.once('SIGTERM', () => stop.abort());
  process.once('disconnect', () => stop.abort());
  if (!process.connected) stop.abort();
  // A run that is stuck on purpose would hold its worker up for ever.
  if (settings.sabotage === 'stuck-run') stop.signal.addEventListener('abort', () => process.exit(0));
  say('ready');
}

/** The callback takes the error of a parent that is gone. */
function say(word: Word): void {
  if (process.connected) process.send?.(word, () => undefined);
}

main().catch((error) => {
  ledger.write({ kind: 'unhandled', event: 'main', failure: describe(error) });
  process.exit(UNHANDLED_EXIT);
});
