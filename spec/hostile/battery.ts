import type { MikroOrmStateStore } from '../../lib';
import { aFullCheckpoint, aFullRun, freshId } from '../support/fixtures';

class Undone extends Error {}

/** Every method once or twice, by what it returns: a store that passes works on this host. */
export async function battery(store: MikroOrmStateStore): Promise<void> {
  const run = aFullRun({ input: { quote: `'"\\?`, order: { z: 1, a: null } }, tags: [`it's`, 'back\\slash'] });
  const { id, namespace } = run;
  await store.createRun(run);
  await store.createRun({ ...run, input: 'again' });
  expect(await store.getRun(id)).toEqual(run);
  expect(await store.listRuns({ namespace: namespace as string, tag: 'back\\slash' })).toEqual([run]);
  expect(await store.listRuns({ attributes: [{ key: 'amount', op: 'eq', value: 12.5 }], limit: 1 })).toHaveLength(1);
  expect(await store.listDueTimers(run.wakeAt as number, namespace)).toEqual([run]);
  await store.updateRun(id, { searchAttributes: { city: 'Łódź' }, status: 'running', wakeAt: undefined });
  expect(await store.listIncompleteRuns(namespace)).toMatchObject([{ id, searchAttributes: { city: 'Łódź' } }]);
  expect(await store.tryLockRun(id, 'me', 9e12, run.lockedUntil as number)).toBe(true);
  expect(await store.renewRunLock(id, 'me', 9.1e12)).toBe(true);
  await store.releaseRunLock(id);
  await signals(store, id);
  await steps(store, id);
  await store.deleteRun(id);
  expect([await store.getRun(id), await store.listCheckpoints(id)]).toEqual([null, []]);
}

async function signals(store: MikroOrmStateStore, runId: string): Promise<void> {
  const waiter = { token: freshId('token'), runId, seq: -1, parallelGroup: 'all:0' };
  await store.putSignalWaiter({ ...waiter, seq: 7 });
  await store.putSignalWaiter(waiter);
  expect(await store.listSignalWaiters(waiter.token)).toEqual([waiter]);
  expect(await store.takeSignalWaiter(waiter.token)).toEqual(waiter);
  expect(await store.takeSignalWaiter(waiter.token)).toBeNull();
  await store.bufferSignal(waiter.token, null);
  await store.bufferSignal(waiter.token, 'second');
  expect(await store.takeBufferedSignal(waiter.token)).toEqual({ payload: null });
  expect(await store.takeBufferedSignal(waiter.token)).toEqual({ payload: 'second' });
  const event = { id: freshId('event'), payload: { z: 1, a: 2 }, publishedAt: 1_772_359_200_123 };
  await store.bufferEvent({ ...event, name: runId });
  expect(await store.listBufferedEvents(runId, 9)).toEqual([event]);
  expect(await store.removeBufferedEvent(event.id)).toBe(true);
}

async function steps(store: MikroOrmStateStore, runId: string): Promise<void> {
  const [kept, lost] = [aFullCheckpoint({ runId, seq: -1 }), aFullCheckpoint({ runId, seq: 1 })];
  await store.saveCheckpoint({ ...kept, output: 'before' });
  await store.transaction((tx) => tx.saveCheckpoint(kept));
  const undone = store.transaction(async (tx) => {
    await tx.saveCheckpoint(lost);
    throw new Undone();
  });
  await expect(undone).rejects.toBeInstanceOf(Undone);
  expect(await store.listCheckpoints(runId)).toEqual([kept]);
}
