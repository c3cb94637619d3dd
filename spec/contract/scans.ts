import type { RunStatus, WorkflowRun } from '../../lib';
import { aFullRun, aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

const STATUSES: RunStatus[] = [
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

const ids = (runs: readonly WorkflowRun[]) => runs.map(({ id }) => id);
const at = (ms: number) => new Date(Date.UTC(2026, 2, 1) + ms);

export function scans(subject: Subject): void {
  describe('poll scans', () => {
    pending(subject);
    incomplete(subject);
    due(subject);
    namespaces(subject);
  });
}

function pending(subject: Subject): void {
  it('lists pending runs, oldest first and no more than asked', async () => {
    const namespace = freshId('ns');
    const created: WorkflowRun[] = [];
    for (const ms of [30, 10, 20, 11]) created.push(await stored(subject, { namespace, createdAt: at(ms) }));
    const oldestFirst = [1, 3, 2, 0].map((n) => created[n]!.id);
    expect(ids(await subject.store.listPendingRuns(100, namespace))).toEqual(oldestFirst);
    expect(ids(await subject.store.listPendingRuns(2, namespace))).toEqual(oldestFirst.slice(0, 2));
  });

  it('lists no pending run for a limit of 0', async () => {
    const { namespace } = await stored(subject, { namespace: freshId('ns') });
    expect(await subject.store.listPendingRuns(0, namespace)).toEqual([]);
    expect(await subject.store.listPendingRuns(0)).toEqual([]);
  });

  it('lists whole runs', async () => {
    const run = await stored(subject, aFullRun({ status: 'pending' }));
    expect(await subject.store.listPendingRuns(1, run.namespace)).toEqual([run]);
  });

  it('lists pending runs of one instant by id', async () => {
    const namespace = freshId('ns');
    for (const id of ['c', 'a', 'b']) await stored(subject, { id: namespace + id, namespace });
    expect(ids(await subject.store.listPendingRuns(2, namespace))).toEqual([`${namespace}a`, `${namespace}b`]);
  });

  needs(subject, 'codePointOrder')('orders ids by code point', async () => {
    const namespace = freshId('ns');
    for (const id of ['é', 'a', 'B', '😀', '\uffee']) await stored(subject, { id: namespace + id, namespace });
    const found = ids(await subject.store.listPendingRuns(9, namespace));
    expect(found.map((id) => id.slice(namespace.length))).toEqual(['B', 'a', 'é', '\uffee', '😀']);
  });

  it.each(STATUSES)('answers for a %s run in the scan it belongs to alone', async (status) => {
    const { namespace } = await stored(subject, {
      namespace: freshId('ns'),
      status,
      wakeAt: 5,
      lockedUntil: 9,
      lockedBy: 'x',
    });
    const found = {
      pending: (await subject.store.listPendingRuns(9, namespace)).length,
      incomplete: (await subject.store.listIncompleteRuns(namespace)).length,
      due: (await subject.store.listDueTimers(5, namespace)).length,
    };
    const incompleteCount = status === 'running' || status === 'cancelling' ? 1 : 0;
    expect(found).toEqual({
      pending: +(status === 'pending'),
      incomplete: incompleteCount,
      due: +(status === 'suspended'),
    });
  });
}

function incomplete(subject: Subject): void {
  needs(subject, 'totalOrder')('lists incomplete runs, leased or not, oldest first and then by id', async () => {
    const namespace = freshId('ns');
    const lease = { lockedBy: 'x', lockedUntil: 8e12 };
    await stored(subject, { id: `${namespace}c`, namespace, status: 'running', createdAt: at(2), ...lease });
    await stored(subject, { id: `${namespace}b`, namespace, status: 'cancelling', createdAt: at(1) });
    await stored(subject, { id: `${namespace}d`, namespace, status: 'running', createdAt: at(0) });
    await stored(subject, { id: `${namespace}a`, namespace, status: 'running', createdAt: at(1), ...lease });
    const found = ids(await subject.store.listIncompleteRuns(namespace));
    expect(found.map((id) => id.slice(namespace.length)).join('')).toBe('dabc');
  });
}

function due(subject: Subject): void {
  it.each([
    ['a millisecond early', 999, 0],
    ['a fraction of a millisecond early', 999.75, 0],
    ['on time', 1000, 1],
    ['late', 1001, 1],
  ])('asked %s, a timer is due accordingly', async (_, now, count) => {
    const { namespace } = await stored(subject, { namespace: freshId('ns'), status: 'suspended', wakeAt: 1000 });
    expect(await subject.store.listDueTimers(now, namespace)).toHaveLength(count);
  });

  it('takes a suspended run without a timer for never due', async () => {
    const { namespace } = await stored(subject, { namespace: freshId('ns'), status: 'suspended' });
    expect(await subject.store.listDueTimers(8e15, namespace)).toEqual([]);
  });

  needs(subject, 'totalOrder')('lists due timers, longest due first and then by id', async () => {
    const namespace = freshId('ns');
    for (const [id, wakeAt] of [
      ['c', 5],
      ['b', 1],
      ['d', 0],
      ['a', 5],
      ['e', 7],
    ] as const) {
      await stored(subject, { id: namespace + id, namespace, status: 'suspended', wakeAt });
    }
    const found = ids(await subject.store.listDueTimers(5, namespace));
    expect(found.map((id) => id.slice(namespace.length)).join('')).toBe('dbac');
  });
}

function namespaces(subject: Subject): void {
  it('keeps to a namespace exactly, and to none when it is undefined', async () => {
    const namespace = freshId('ns');
    const spaces = [namespace, `${namespace} `, namespace.toUpperCase(), '', undefined];
    const mine: string[] = [];
    for (const space of spaces) {
      for (const status of ['pending', 'running', 'suspended'] as const) {
        mine.push((await stored(subject, { namespace: space, status, wakeAt: 1 })).id);
      }
    }
    const scan = async (space?: string) => [
      ...(await subject.store.listPendingRuns(100_000, space)),
      ...(await subject.store.listIncompleteRuns(space)),
      ...(await subject.store.listDueTimers(1, space)),
    ];
    const found = async (space?: string) =>
      ids(await scan(space))
        .filter((id) => mine.includes(id))
        .sort();
    expect(await found(namespace)).toEqual(mine.slice(0, 3).sort());
    expect(await found('')).toEqual(mine.slice(9, 12).sort());
    expect(await found('default')).toEqual(mine.slice(12, 15).sort());
    expect(await found()).toEqual([...mine].sort());
  });

  it('limits after the namespace was filtered', async () => {
    const namespace = freshId('ns');
    await stored(subject, { createdAt: at(-9) });
    const { id } = await stored(subject, { namespace });
    expect(ids(await subject.store.listPendingRuns(1, namespace))).toEqual([id]);
  });
}

async function stored({ store }: Subject, fields: Partial<WorkflowRun>): Promise<WorkflowRun> {
  const run = aRun(fields);
  await store.createRun(run);
  return run;
}
