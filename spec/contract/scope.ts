import type { MikroOrmStateStore } from '../../lib';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { groupNeeds, type Subject } from './subject';

export function scope(subject: Subject): void {
  groupNeeds(subject, 'scope')('a store confined to a namespace', () => {
    reads(subject);
    writes(subject);
    namespaces(subject);
    takes(subject);
    whatItShares(subject);
  });
}

function reads(subject: Subject): void {
  it('reads its own runs and what belongs to them', async () => {
    const { store, mine } = await confined(subject);
    expect((await store.getRun(mine))?.id).toBe(mine);
    expect(await store.getCheckpoint(mine, 0)).not.toBeNull();
    expect(await store.listCheckpoints(mine)).toHaveLength(1);
    expect(await store.getLatestCheckpointByName(mine, 'charge')).toBeDefined();
    expect(await store.listCheckpointsByNamePrefix(mine, ['ch'])).toHaveLength(1);
    expect(await store.listSignalWaiters(`${mine}:`)).toHaveLength(1);
  });

  it('reads nothing of another namespace', async () => {
    const { store, theirs } = await confined(subject);
    expect(await store.getRun(theirs)).toBeNull();
    expect(await store.getCheckpoint(theirs, 0)).toBeNull();
    expect(await store.listCheckpoints(theirs)).toEqual([]);
    expect(await store.getLatestCheckpointByName(theirs, 'charge')).toBeUndefined();
    expect(await store.listCheckpointsByNamePrefix(theirs, ['ch', ''])).toEqual([]);
    expect(await store.listSignalWaiters(`${theirs}:`)).toEqual([]);
  });

  it.each(['pending', 'running', 'suspended'] as const)('scans and lists its own %s runs', async (status) => {
    const { store, mine, other } = await confined(subject, status);
    const ids = (runs: { id: string }[]) => runs.map(({ id }) => id);
    const scanned = async (namespace?: string) => [
      ...ids(await store.listPendingRuns(9, namespace)),
      ...ids(await store.listIncompleteRuns(namespace)),
      ...ids(await store.listDueTimers(9, namespace)),
    ];
    expect(await scanned()).toEqual([mine]);
    expect(await scanned(other)).toEqual([]);
    expect(ids(await store.listRuns({}))).toEqual([mine]);
    expect(ids(await store.listRuns({ namespace: other }))).toEqual([]);
    expect(ids(await store.listRuns({ namespaces: [other] }))).toEqual([]);
    expect(ids(await store.listRuns({ attributes: [{ key: 'a', op: 'eq', value: 1 }], limit: 9, offset: 0 }))).toEqual([
      mine,
    ]);
    expect(await store.runFacets()).toEqual([{ status, origin: null, count: 1 }]);
  });
}

function writes(subject: Subject): void {
  it('changes its own runs', async () => {
    const { store, mine } = await confined(subject);
    await store.updateRun(mine, { status: 'running', searchAttributes: { a: 2 } });
    expect(await store.tryLockRun(mine, 'me', 9, 1)).toBe(true);
    expect(await store.renewRunLock(mine, 'me', 19)).toBe(true);
    expect(await subject.store.getRun(mine)).toMatchObject({ status: 'running', lockedUntil: 19 });
    await store.releaseRunLock(mine);
    await store.saveCheckpoint(aCheckpoint({ runId: mine, seq: 1 }));
    expect(await subject.store.listCheckpoints(mine)).toHaveLength(2);
    await store.deleteRun(mine);
    expect(await subject.store.getRun(mine)).toBeNull();
    expect(await subject.store.listCheckpoints(mine)).toEqual([]);
  });

  it('changes nothing of another namespace', async () => {
    const { store, theirs } = await confined(subject, 'completed');
    await subject.store.updateRun(theirs, { lockedBy: 'them', lockedUntil: 5, status: 'failed' });
    const before = await traces(subject, theirs);
    await expect(store.updateRun(theirs, { status: 'dead' })).rejects.toThrow(`run ${theirs} not found`);
    await expect(store.updateRun(theirs, { searchAttributes: {} })).rejects.toThrow(`run ${theirs} not found`);
    await expect(store.updateRun(theirs, {})).rejects.toThrow(`run ${theirs} not found`);
    expect(await store.tryLockRun(theirs, 'me', 99, 50)).toBe(false);
    expect(await store.renewRunLock(theirs, 'them', 99)).toBe(false);
    await store.releaseRunLock(theirs);
    await store.deleteRun(theirs);
    await store.saveCheckpoint(aCheckpoint({ runId: theirs, output: 'overwritten' }));
    await store.saveCheckpoint(aCheckpoint({ runId: theirs, seq: 7 }));
    expect(await store.pruneTerminalRuns({ statuses: ['failed'], maxAge: 0, maxCount: 0 }, 8e15, 99)).toBe(0);
    expect(await traces(subject, theirs)).toEqual(before);
  });

  it('leaves checkpoints of a run that is gone, whoever owned it', async () => {
    const { store } = await confined(subject);
    const checkpoint = aCheckpoint();
    await subject.store.saveCheckpoint(checkpoint);
    await store.deleteRun(checkpoint.runId);
    expect(await subject.store.listCheckpoints(checkpoint.runId)).toEqual([checkpoint]);
  });

  it('prunes and counts its own runs', async () => {
    const { store, mine, theirs } = await confined(subject, 'completed');
    expect(await store.pruneTerminalRuns({ statuses: ['completed'], maxCount: 1 }, 1, 9)).toBe(0);
    expect(await store.pruneTerminalRuns({ statuses: ['completed'], maxCount: 0 }, 1, 9)).toBe(1);
    expect([await subject.store.getRun(mine), (await subject.store.getRun(theirs))?.id]).toEqual([null, theirs]);
  });

  it('keeps the checkpoint of a run that is not there yet', async () => {
    const { store, namespace } = await confined(subject);
    const checkpoint = aCheckpoint();
    await store.saveCheckpoint(checkpoint);
    await store.createRun(aRun({ id: checkpoint.runId, namespace }));
    expect(await store.getCheckpoint(checkpoint.runId, 0)).toEqual(checkpoint);
  });
}

function namespaces(subject: Subject): void {
  const ofRun = async (id: string) => (await subject.store.getRun(id))?.namespace;

  it.each([
    ['a run', {}],
    ['a run whose namespace is undefined', { namespace: undefined }],
    ['a run with attributes', { searchAttributes: { a: 1 } }],
  ])('gives %s its own namespace', async (_what, fields) => {
    const { store, namespace } = await confined(subject);
    const run = aRun(fields);
    await store.createRun(run);
    expect(await ofRun(run.id)).toBe(namespace);
    expect((await store.getRun(run.id))?.namespace).toBe(namespace);
    expect((await store.listPendingRuns(9)).map(({ id }) => id)).toContain(run.id);
  });

  it('keeps a run whose namespace is cleared', async () => {
    const { store, mine, namespace } = await confined(subject);
    await store.updateRun(mine, { namespace: undefined, status: 'running' });
    expect(await store.getRun(mine)).toMatchObject({ namespace, status: 'running' });
    await store.updateRun(mine, { priority: 1 });
    expect(await ofRun(mine)).toBe(namespace);
  });

  it.each([{}, { searchAttributes: { a: 1 } }])('hands a run over that names another namespace: %j', async (fields) => {
    const { store, mine, other } = await confined(subject);
    const run = aRun({ namespace: other, ...fields });
    await store.createRun(run);
    expect([await ofRun(run.id), await store.getRun(run.id)]).toEqual([other, null]);
    expect(await store.tryLockRun(run.id, 'me', 99, 1)).toBe(false);
    await store.updateRun(mine, { namespace: other });
    expect([await ofRun(mine), await store.getRun(mine)]).toEqual([other, null]);
  });

  it('is default where the store is not confined', async () => {
    const [created, cleared] = [aRun(), aRun({ namespace: 'a' })];
    const store = subject.store.withScope({});
    await store.createRun(created);
    await store.createRun(cleared);
    await store.updateRun(cleared.id, { namespace: undefined });
    expect([await ofRun(created.id), await ofRun(cleared.id)]).toEqual(['default', 'default']);
  });
}

function takes(subject: Subject): void {
  it('takes and removes its own waiters', async () => {
    const { store, mine } = await confined(subject);
    expect(await store.takeSignalWaiter(`${mine}:t`)).toMatchObject({ runId: mine });
    await store.putSignalWaiter({ token: `${mine}:t`, runId: mine, seq: 2 });
    await store.removeSignalWaiter({ token: `${mine}:t`, runId: mine, seq: 2 });
    expect(await subject.store.takeSignalWaiter(`${mine}:t`)).toBeNull();
  });

  it('takes and removes no waiter of another namespace', async () => {
    const { store, theirs } = await confined(subject);
    const token = `${theirs}:t`;
    expect(await store.takeSignalWaiter(token)).toBeNull();
    await store.removeSignalWaiter({ token, runId: theirs, seq: 1 });
    await store.putSignalWaiter({ token, runId: theirs, seq: 9 });
    expect(await subject.store.takeSignalWaiter(token)).toEqual({ token, runId: theirs, seq: 1 });
  });
}

function whatItShares(subject: Subject): void {
  it('shares buffered signals and events, which belong to no run', async () => {
    const { store } = await confined(subject);
    const name = freshId('n');
    await subject.store.bufferSignal(name, 1);
    await subject.store.bufferEvent({ id: name, name, payload: 1, publishedAt: 1 });
    expect(await store.takeBufferedSignal(name)).toEqual({ payload: 1 });
    expect(await store.listBufferedEvents(name, 9)).toHaveLength(1);
    expect(await store.removeBufferedEvent(name)).toBe(true);
  });

  it.each([[{}], [{ namespace: undefined }]])('sees everything by the scope %j', async (everything) => {
    const { mine, theirs } = await confined(subject);
    const store = subject.store.withScope(everything);
    expect([(await store.getRun(mine))?.id, (await store.getRun(theirs))?.id]).toEqual([mine, theirs]);
    expect(await store.takeSignalWaiter(`${theirs}:t`)).not.toBeNull();
  });

  it('leaves the store it was made from as it was', async () => {
    const { theirs } = await confined(subject);
    expect((await subject.store.getRun(theirs))?.id).toBe(theirs);
  });
}

/** A store confined to one of two namespaces, with a run, a checkpoint, an attribute and a waiter in each. */
async function confined({ store }: Subject, status: 'pending' | 'running' | 'suspended' | 'completed' = 'pending') {
  const [namespace, other] = [freshId('ns'), freshId('ns')];
  const [mine, theirs] = [freshId('mine'), freshId('theirs')];
  for (const [id, space] of [
    [mine, namespace],
    [theirs, other],
  ] as const) {
    await store.createRun(aRun({ id, namespace: space, status, wakeAt: 1, searchAttributes: { a: 1 } }));
    await store.saveCheckpoint(aCheckpoint({ runId: id }));
    await store.putSignalWaiter({ token: `${id}:t`, runId: id, seq: 1 });
  }
  const confinedStore: MikroOrmStateStore = store.withScope({ namespace });
  return { store: confinedStore, namespace, other, mine, theirs };
}

async function traces({ store }: Subject, runId: string): Promise<unknown[]> {
  return [await store.getRun(runId), await store.listCheckpoints(runId), await store.listSignalWaiters(`${runId}:`)];
}
