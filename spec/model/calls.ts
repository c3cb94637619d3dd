import fc from 'fast-check';
import type { MikroOrmStateStore } from '../../lib';
import { shownResult } from './fields';
import { date, instant, key, number, ownEntries, payload, prefix } from './hostile';

/** One call of a store, through a scope or not. */
export interface Call {
  readonly method: Method;
  readonly scope: string | undefined;
  readonly args: readonly unknown[];
}

const STATUSES = [
  'pending',
  'running',
  'suspended',
  'cancelling',
  'blocked',
  'completed',
  'failed',
  'cancelled',
  'dead',
];

/** Calls whose arguments are drawn from a few words. */
export function call(words: readonly string[], methods: readonly Method[]): fc.Arbitrary<Call> {
  const args = argumentsOf(words);
  // Half of all calls are made by a store without a scope.
  const scope = fc.option(fc.constantFrom(...words.slice(0, 2)), { nil: undefined, freq: 1 });
  return fc.oneof(
    ...methods.map((method) => ({
      weight: WEIGHTS[method] ?? 2,
      arbitrary: fc.record({ method: fc.constant(method), scope, args: args[method] as fc.Arbitrary<unknown[]> }),
    })),
  );
}

const WEIGHTS: Partial<Record<Method, number>> = {
  createRun: 6,
  updateRun: 5,
  saveCheckpoint: 5,
  listRuns: 5,
  tryLockRun: 3,
};

/** The methods of a store that the model knows. */
export type Method = keyof ReturnType<typeof argumentsOf>;

/** Methods that act on single rows: the ones a burst is made of. */
export const ROW_METHODS: readonly Method[] = [
  ...(['createRun', 'updateRun', 'getRun', 'saveCheckpoint', 'getCheckpoint', 'tryLockRun', 'renewRunLock'] as const),
  ...(['releaseRunLock', 'putSignalWaiter', 'takeSignalWaiter', 'removeSignalWaiter', 'bufferSignal'] as const),
  ...(['takeBufferedSignal', 'bufferEvent', 'removeBufferedEvent', 'listSignalWaiters', 'listRuns'] as const),
];

export const METHODS = Object.keys(argumentsOf(['', '', ''])) as Method[];

function argumentsOf(words: readonly string[]) {
  const text = key(words);
  const few = key(words.slice(0, 2));
  const seq = fc.integer({ min: -1, max: 1 });
  const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
  const limit = fc.integer({ min: 0, max: 4 });
  const fields = runFields(words);
  const run = fc.record(fields, {
    requiredKeys: ['id', 'workflow', 'workflowVersion', 'status', 'createdAt', 'updatedAt'],
  });
  const waiter = fc.record({ token: few, runId: few, seq, parallelGroup: optional(text) });
  const event = fc.record({ id: few, name: few, payload, publishedAt: instant });
  const policy = fc.record(
    { statuses: fc.subarray(STATUSES), maxAge: fc.integer({ min: 0, max: 4 }), maxCount: limit },
    { requiredKeys: ['statuses'] },
  );
  return {
    createRun: fc.tuple(run),
    updateRun: fc.tuple(few, fc.record({ ...fields, unknown: text }, { requiredKeys: [] })),
    getRun: fc.tuple(few),
    deleteRun: fc.tuple(few),
    pruneTerminalRuns: fc.tuple(policy, instant, limit),
    saveCheckpoint: fc.tuple(checkpoint(words)),
    getCheckpoint: fc.tuple(few, seq),
    listCheckpoints: fc.tuple(few),
    getLatestCheckpointByName: fc.tuple(few, text),
    listCheckpointsByNamePrefix: fc.tuple(few, fc.array(prefix(words), { maxLength: 3 })),
    listIncompleteRuns: fc.tuple(optional(text)),
    listPendingRuns: fc.tuple(limit, optional(text)),
    listDueTimers: fc.tuple(instant, optional(text)),
    tryLockRun: fc.tuple(few, text, instant, instant),
    renewRunLock: fc.tuple(few, text, instant),
    releaseRunLock: fc.tuple(few),
    putSignalWaiter: fc.tuple(waiter),
    takeSignalWaiter: fc.tuple(few),
    listSignalWaiters: fc.tuple(prefix(words)),
    removeSignalWaiter: fc.tuple(waiter),
    bufferSignal: fc.tuple(few, payload),
    takeBufferedSignal: fc.tuple(few),
    bufferEvent: fc.tuple(event),
    listBufferedEvents: fc.tuple(few, limit),
    removeBufferedEvent: fc.tuple(few),
    transaction: fc.tuple(fc.array(checkpoint(words), { maxLength: 2 }), fc.boolean()),
    listRuns: fc.tuple(query(words)),
    runFacets: fc.tuple(query(words).map(({ limit: _limit, offset: _offset, ...facets }) => facets)),
  };
}

function runFields(words: readonly string[]) {
  const text = key(words);
  const count = fc.oneof(fc.integer({ min: -2, max: 9 }), fc.constantFrom(2_147_483_647, 2_147_483_648, 0.5));
  return {
    id: key(words.slice(0, 2)),
    workflow: text,
    workflowVersion: text,
    status: fc.constantFrom(...STATUSES),
    input: payload,
    output: payload,
    error: payload,
    wakeAt: instant,
    lockedBy: text,
    lockedUntil: instant,
    awaitingDecisionTaskId: text,
    recoveryAttempts: count,
    tags: fc.array(text, { maxLength: 3 }),
    searchAttributes: attributes(words),
    namespace: key(words.slice(0, 2)),
    priority: count,
    origin: text,
    createdAt: date,
    updatedAt: date,
  };
}

function attributes(words: readonly string[]): fc.Arbitrary<object> {
  const value = fc.oneof(
    { weight: 4, arbitrary: number as fc.Arbitrary<unknown> },
    { weight: 4, arbitrary: key(words) },
    { weight: 2, arbitrary: fc.constantFrom<unknown>(true, false, 'true', 'false', '5', 5, Number.NaN, null, {}) },
    { weight: 1, arbitrary: key(words).map((word) => word.repeat(120)) },
  );
  return fc.array(fc.tuple(key(words.slice(0, 4)), value), { maxLength: 3 }).map(ownEntries);
}

function checkpoint(words: readonly string[]): fc.Arbitrary<object> {
  const text = key(words);
  return fc.record(
    {
      runId: key(words.slice(0, 2)),
      seq: fc.integer({ min: -1, max: 1 }),
      name: text,
      kind: fc.constantFrom('local', 'remote', 'sleep', 'signal'),
      stepId: text,
      status: fc.constantFrom('pending', 'running', 'completed', 'failed'),
      attempts: fc.nat(3),
      enqueuedAt: date,
      startedAt: date,
      finishedAt: date,
      input: payload,
      output: payload,
      error: payload,
      events: payload,
      workerGroup: text,
      parallelGroup: text,
      wakeAt: instant,
    },
    {
      requiredKeys: [
        ...(['runId', 'seq', 'name', 'kind', 'stepId', 'status', 'attempts'] as const),
        ...(['enqueuedAt', 'startedAt', 'finishedAt'] as const),
      ],
    },
  );
}

function query(words: readonly string[]) {
  const text = key(words);
  const some = fc.array(text, { maxLength: 3 });
  const value = fc.oneof(number, text, fc.constantFrom(true, false, 5, '5', 'true'));
  const filter = fc.oneof(
    fc.record({ key: key(words.slice(0, 4)), op: fc.constantFrom('eq', 'ne', 'gt', 'gte', 'lt', 'lte'), value }),
    fc.record({ key: key(words.slice(0, 4)), op: fc.constant('in'), value: fc.array(value, { maxLength: 3 }) }),
  );
  const conditions: [string, fc.Arbitrary<unknown>][] = [
    ['workflow', text],
    ['status', fc.constantFrom(...STATUSES)],
    ['statuses', fc.subarray(STATUSES)],
    ['tag', text],
    ['tags', some],
    ['namespace', text],
    ['namespaces', some],
    ['workflows', some],
    ['origin', fc.option(text)],
    ['origins', fc.array(fc.option(text), { maxLength: 3 })],
    ['attributes', fc.array(filter, { minLength: 1, maxLength: 2 })],
  ];
  const condition = fc
    .constantFrom(...conditions)
    .chain(([name, arbitrary]) => arbitrary.map((wanted) => ({ [name]: wanted })));
  const page = fc.record({ limit: fc.nat(3), offset: fc.nat(2) }, { requiredKeys: [] });
  return fc
    .tuple(fc.array(condition, { maxLength: 2 }), page)
    .map(([parts, paging]): Record<string, unknown> => Object.assign({}, ...parts, paging));
}

/** What came of a call, as text: its result, or the name of its error. */
export async function answer(store: MikroOrmStateStore, { method, scope, args }: Call): Promise<string> {
  const confined = scope === undefined ? store : store.withScope({ namespace: scope });
  try {
    if (method === 'transaction') return JSON.stringify(await transact(confined, args as never));
    const run = confined[method] as (...given: unknown[]) => Promise<unknown>;
    const result = await run.apply(confined, [...args]);
    if (method === 'runFacets') return JSON.stringify((result as Facet[]).map(facetText).sort());
    return JSON.stringify(shownAny(result)) ?? 'undefined';
  } catch (error) {
    return (error as Error).name.startsWith('Durable') ? (error as Error).name : String((error as Error).stack);
  }
}

interface Facet {
  status: string;
  origin: string | null;
  count: number;
}

function facetText({ status, origin, count }: Facet): string {
  return `${JSON.stringify([status, origin])} ${count}`;
}

async function transact(store: MikroOrmStateStore, [checkpoints, throws]: [never[], boolean]): Promise<string> {
  const work = store.transaction(async (tx) => {
    for (const one of checkpoints) await tx.saveCheckpoint(one);
    if (throws) throw new Undone();
    return 'committed';
  });
  return work.catch((error: unknown) => {
    if (error instanceof Undone) return 'rolled back';
    throw error;
  });
}

class Undone extends Error {}

function shownAny(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(shownAny);
  return typeof result === 'object' && result !== null ? shownResult(result) : result;
}
