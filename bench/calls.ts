import type { StateStore, StepCheckpoint, WorkflowRun } from '@dudousxd/nestjs-durable-core';

/** A call of the engine's hot path as it is repeated. */
export interface Call {
  readonly name: string;
  /** Put into the store what `count` calls need; `scope` is in no other key. */
  prepare?(store: StateStore, scope: string, count: number): Promise<void>;
  call(store: StateStore, scope: string, n: number): Promise<unknown>;
  /** Whether a result is the one the call is measured for; checked before anything is timed. */
  readonly right?: (result: unknown) => boolean;
}

const isTrue = (result: unknown) => result === true;
const isHit = (result: unknown) => typeof result === 'object' && result !== null;
const isMiss = (result: unknown) => result === null;

/** Rows that repeated reads and updates take turns on; more than there are concurrent callers. */
const ROWS = 256;
const LEASE_MS = 30_000;
const START = Date.parse('2026-03-01T10:00:00.000Z');
const INPUT = { orderId: 'order-4711', customer: 'Ada Lovelace', items: [{ sku: 'a-1', quantity: 2 }], total: 129.9 };

/** A run that no poll scan finds. */
export function aRun(id: string): WorkflowRun {
  const at = new Date(START);
  return {
    id,
    workflow: 'order',
    workflowVersion: '1',
    status: 'suspended',
    input: INPUT,
    createdAt: at,
    updatedAt: at,
  };
}

export function aCheckpoint(runId: string, seq: number, output: unknown = { ok: true, id: seq }): StepCheckpoint {
  const at = new Date(START + seq);
  return {
    runId,
    seq,
    name: `step-${seq}`,
    kind: 'local',
    stepId: `${runId}:${seq}`,
    status: 'completed',
    output,
    attempts: 1,
    enqueuedAt: at,
    startedAt: at,
    finishedAt: at,
  };
}

const row = (scope: string, n: number) => `${scope}-${n % ROWS}`;

const someRuns = (store: StateStore, scope: string) => each(ROWS, (n) => store.createRun(aRun(row(scope, n))));

export const HOT_CALLS: readonly Call[] = [
  { name: 'createRun', call: (store, scope, n) => store.createRun(aRun(`${scope}-${n}`)) },
  { name: 'getRun', prepare: someRuns, right: isHit, call: (store, scope, n) => store.getRun(row(scope, n)) },
  {
    name: 'updateRun',
    prepare: someRuns,
    call: (store, scope, n) =>
      store.updateRun(row(scope, n), { output: { n, done: true }, error: undefined, updatedAt: new Date(START + n) }),
  },
  {
    name: 'tryLockRun',
    prepare: someRuns,
    // Each lease has ended when its run comes round again.
    right: isTrue,
    call: (store, scope, n) => store.tryLockRun(row(scope, n), 'engine-1', START + n * 10 + 5, START + n * 10),
  },
  {
    name: 'renewRunLock',
    prepare: async (store, scope) => {
      await someRuns(store, scope);
      await each(ROWS, (n) => store.tryLockRun(row(scope, n), 'engine-1', START + LEASE_MS, START));
    },
    right: isTrue,
    // By whole seconds: a table that keeps no fractions would have nothing to write.
    call: (store, scope, n) => store.renewRunLock(row(scope, n), 'engine-1', START + LEASE_MS + n * 1000),
  },
  {
    name: 'releaseRunLock',
    prepare: (store, scope, count) =>
      each(count, (n) =>
        store.createRun({ ...aRun(`${scope}-${n}`), lockedBy: 'engine-1', lockedUntil: START + LEASE_MS }),
      ),
    call: (store, scope, n) => store.releaseRunLock(`${scope}-${n}`),
  },
  {
    name: 'getCheckpoint hit',
    prepare: (store, scope) => each(ROWS, (n) => store.saveCheckpoint(aCheckpoint(row(scope, n), 0))),
    right: isHit,
    call: (store, scope, n) => store.getCheckpoint(row(scope, n), 0),
  },
  { name: 'getCheckpoint miss', right: isMiss, call: (store, scope, n) => store.getCheckpoint(row(scope, n), 1) },
  {
    name: 'saveCheckpoint new',
    call: (store, scope, n) => store.saveCheckpoint(aCheckpoint(`${scope}-${Math.floor(n / 10)}`, n % 10)),
  },
  {
    name: 'saveCheckpoint overwrite',
    prepare: (store, scope) => each(ROWS, (n) => store.saveCheckpoint(aCheckpoint(row(scope, n), 0))),
    call: (store, scope, n) => store.saveCheckpoint(aCheckpoint(row(scope, n), 0, { ok: true, again: n })),
  },
  {
    name: 'listCheckpoints of 10',
    prepare: (store, scope) =>
      each(320, (n) => store.saveCheckpoint(aCheckpoint(`${scope}-${Math.floor(n / 10)}`, n % 10))),
    right: (result) => (result as unknown[]).length === 10,
    call: (store, scope, n) => store.listCheckpoints(`${scope}-${n % 32}`),
  },
  {
    name: 'putSignalWaiter',
    call: (store, scope, n) => store.putSignalWaiter({ token: `${scope}-${n}`, runId: scope, seq: n }),
  },
  {
    name: 'takeSignalWaiter hit',
    prepare: (store, scope, count) =>
      each(count, (n) => store.putSignalWaiter({ token: `${scope}-${n}`, runId: scope, seq: n })),
    right: isHit,
    call: (store, scope, n) => store.takeSignalWaiter(`${scope}-${n}`),
  },
  { name: 'takeSignalWaiter miss', right: isMiss, call: (store, scope, n) => store.takeSignalWaiter(`${scope}-${n}`) },
  { name: 'bufferSignal', call: (store, scope, n) => store.bufferSignal(`${scope}-${n}`, { ok: true, value: { n } }) },
  {
    name: 'takeBufferedSignal hit',
    prepare: (store, scope, count) => each(count, (n) => store.bufferSignal(`${scope}-${n}`, { n })),
    right: isHit,
    call: (store, scope, n) => store.takeBufferedSignal(`${scope}-${n}`),
  },
  {
    name: 'takeBufferedSignal miss',
    right: isMiss,
    call: (store, scope, n) => store.takeBufferedSignal(`${scope}-${n}`),
  },
];

/** What an idle worker asks on every poll. */
export const IDLE_SCANS: readonly Call[] = [
  { name: 'listPendingRuns', call: (store) => store.listPendingRuns(100) },
  { name: 'listIncompleteRuns', call: (store) => store.listIncompleteRuns() },
  { name: 'listDueTimers', call: (store) => store.listDueTimers(START) },
  { name: 'listRuns blocked', call: (store) => store.listRuns({ statuses: ['blocked'] }) },
];

/** The whole poll of an idle worker: four scans, one after the other. */
export const IDLE_TICK: Call = {
  name: 'idle poll tick',
  call: async (store, scope, n) => {
    for (const scan of IDLE_SCANS) await scan.call(store, scope, n);
  },
};

/** The hot call of this name. */
export function callNamed(name: string): Call {
  const found = HOT_CALLS.find((call) => call.name === name);
  if (!found) throw new Error(`no call ${name}`);
  return found;
}

export const SAVE_CHECKPOINT = callNamed('saveCheckpoint new');

/** Work for each number below `count`, some at a time. */
export async function each(count: number, work: (n: number) => Promise<unknown>, callers = 32): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(callers, count) }, caller));
}
