import type { MikroOrmStateStore } from '../../lib';
import { aCheckpoint, aRun } from '../calls';
import { CHECKPOINTS_PER_RUN, RUNS_PER_CUSTOMER } from '../seed/statements';

/** A question whose answer is as large with ten thousand runs as with a million. */
export interface ScaleCall {
  readonly name: string;
  call(store: MikroOrmStateStore, n: number): Promise<unknown>;
  /** How many rows the answer has; checked. */
  readonly rows?: number;
}

/** Active runs of each kind that the loaded scans find. */
export const ACTIVE = 50;
const LEASE_MS = 30_000;
const MIDDLE = 5000;
const NOW = Date.UTC(2026, 5, 1);

export const IDLE: readonly ScaleCall[] = [
  {
    name: 'idle poll tick',
    call: async (store) => {
      await store.listPendingRuns(100);
      await store.listIncompleteRuns();
      await store.listDueTimers(NOW);
      await store.listRuns({ statuses: ['blocked'] });
    },
  },
  { name: 'listPendingRuns, none', call: (store) => store.listPendingRuns(100), rows: 0 },
  { name: 'listIncompleteRuns, none', call: (store) => store.listIncompleteRuns(), rows: 0 },
  { name: 'listDueTimers, none', call: (store) => store.listDueTimers(NOW), rows: 0 },
  { name: 'listRuns blocked, none', call: (store) => store.listRuns({ statuses: ['blocked'] }), rows: 0 },
];

const amounts = { op: 'gte' as const, key: 'amount', value: MIDDLE };
const upTo = { op: 'lt' as const, key: 'amount', value: MIDDLE + RUNS_PER_CUSTOMER };

export const LOADED: readonly ScaleCall[] = [
  { name: `listPendingRuns, ${ACTIVE}`, call: (store) => store.listPendingRuns(100), rows: ACTIVE },
  { name: `listIncompleteRuns, ${ACTIVE}`, call: (store) => store.listIncompleteRuns(), rows: ACTIVE },
  { name: `listDueTimers, ${ACTIVE}`, call: (store) => store.listDueTimers(NOW), rows: ACTIVE },
  { name: `listRuns blocked, ${ACTIVE}`, call: (store) => store.listRuns({ statuses: ['blocked'] }), rows: ACTIVE },
  { name: 'listRuns newest 50', call: (store) => store.listRuns({ limit: 50 }), rows: 50 },
  {
    name: 'listRuns workflow and status, newest 50',
    call: (store) => store.listRuns({ workflow: 'workflow-7', status: 'completed', limit: 50 }),
    rows: 50,
  },
  { name: 'listRuns page at 5,000', call: (store) => store.listRuns({ limit: 50, offset: MIDDLE }), rows: 50 },
  { name: 'listRuns by tag', call: (store) => store.listRuns({ tag: 'customer-7' }), rows: RUNS_PER_CUSTOMER },
  {
    name: 'listRuns by tag, active runs of a workflow',
    call: (store) =>
      store.listRuns({ tag: 'active', workflow: 'busy', statuses: ['running', 'suspended', 'cancelling'] }),
    rows: 2 * ACTIVE,
  },
  {
    name: 'listRuns attribute range',
    call: (store) => store.listRuns({ attributes: [amounts, upTo] }),
    rows: RUNS_PER_CUSTOMER,
  },
  {
    name: 'listRuns attribute equals',
    call: (store) => store.listRuns({ attributes: [{ key: 'customer', op: 'eq', value: 'customer-7' }] }),
    rows: RUNS_PER_CUSTOMER,
  },
  { name: 'runFacets of a workflow', call: (store) => store.runFacets({ workflow: 'busy' }) },
  { name: 'runFacets of all', call: (store) => store.runFacets() },
  { name: 'listSignalWaiters, 1', call: (store) => store.listSignalWaiters('event:'), rows: 1 },
  { name: 'getRun', call: (store, n) => store.getRun(activeId('pending', n % ACTIVE)) },
  {
    name: 'listCheckpoints of 10',
    call: (store) => store.listCheckpoints('active'),
    rows: CHECKPOINTS_PER_RUN,
  },
  { name: 'saveCheckpoint new', call: (store, n) => store.saveCheckpoint(aCheckpoint(`new-${n}`, 0)) },
  {
    name: 'tryLockRun',
    call: (store, n) => store.tryLockRun(activeId('pending', n % ACTIVE), 'me', NOW + n * 10 + 5, NOW + n * 10),
  },
  { name: 'takeBufferedSignal miss', call: (store, n) => store.takeBufferedSignal(`none-${n}`) },
];

const activeId = (status: string, n: number) => `active-${status}-${n}`;

/** Add what the loaded scans find. */
export async function addActive(store: MikroOrmStateStore): Promise<void> {
  const fields = {
    pending: {},
    running: { lockedUntil: NOW + LEASE_MS, lockedBy: 'other' },
    blocked: {},
    suspended: { wakeAt: NOW - 1 },
  };
  const statuses = Object.entries(fields) as [keyof typeof fields, object][];
  const at = new Date(NOW);
  for (const [status, more] of statuses) {
    for (let n = 0; n < ACTIVE; n += 1) {
      const run = {
        ...aRun(activeId(status, n)),
        workflow: 'busy',
        status,
        tags: ['active'],
        createdAt: at,
        updatedAt: at,
      };
      await store.createRun({ ...run, ...more });
    }
  }
  for (let seq = 0; seq < CHECKPOINTS_PER_RUN; seq += 1) await store.saveCheckpoint(aCheckpoint('active', seq));
  await store.putSignalWaiter({ token: 'event:one', runId: 'active', seq: 10 });
}
