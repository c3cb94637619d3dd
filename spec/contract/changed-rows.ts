import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { aFullCheckpoint, aFullRun, freshId } from '../support/fixtures';
import { groupNeeds, type Subject } from './subject';

/** How a host tells its driver to count changed rows, for `mysql2` and for `mariadb`. */
const COUNT_CHANGED = { driverOptions: { connection: { flags: ['-FOUND_ROWS'], foundRows: false } } };

export function changedRows(subject: Subject): void {
  groupNeeds(subject, 'changedRows')('on a driver that counts changed rows', () => {
    let orm: MikroORM;
    let store: MikroOrmStateStore;

    beforeAll(async () => {
      orm = await subject.open(COUNT_CHANGED);
      store = new MikroOrmStateStore(orm);
    });

    it('renews to the end the lease already has, for its owner alone', async () => {
      const run = aFullRun({ lockedBy: 'me', lockedUntil: 1000 });
      await store.createRun(run);
      expect(await store.renewRunLock(run.id, 'me', 1000)).toBe(true);
      expect(await store.renewRunLock(run.id, 'other', 1000)).toBe(false);
      expect(await store.renewRunLock(freshId(), 'me', 1000)).toBe(false);
    });

    it('accepts a patch that changes no value, and still misses a missing run', async () => {
      const run = aFullRun();
      await store.createRun(run);
      await store.updateRun(run.id, run);
      await store.updateRun(run.id, { status: run.status });
      expect(await store.getRun(run.id)).toEqual(run);
      await expect(store.updateRun(freshId(), { status: 'dead' })).rejects.toThrow('not found');
    });

    it('leaves a run that exists, with and without attributes', async () => {
      const run = aFullRun({ searchAttributes: { a: 1 } });
      await store.createRun(run);
      await store.createRun(run);
      await store.createRun({ ...run, input: 'new', searchAttributes: { a: 2 } });
      await store.createRun({ ...run, input: 'new', searchAttributes: undefined });
      expect(await store.getRun(run.id)).toEqual(run);
      const attributes = [{ key: 'a', op: 'eq' as const, value: 2 }];
      expect(await store.listRuns({ namespace: run.namespace, attributes })).toEqual([]);
    });

    it('leases, saves, takes and removes as ever', async () => {
      const run = aFullRun({ lockedBy: undefined, lockedUntil: undefined });
      await store.createRun(run);
      expect(await store.tryLockRun(run.id, 'me', 20, 10)).toBe(true);
      expect(await store.tryLockRun(run.id, 'me', 20, 10)).toBe(false);
      await store.saveCheckpoint(aFullCheckpoint({ runId: run.id }));
      await store.saveCheckpoint(aFullCheckpoint({ runId: run.id }));
      const waiter = { token: run.id, runId: run.id, seq: 1 };
      await store.putSignalWaiter(waiter);
      await store.putSignalWaiter(waiter);
      expect(await store.takeSignalWaiter(run.id)).toEqual(waiter);
      await store.bufferEvent({ id: run.id, name: run.id, payload: 1, publishedAt: 1 });
      await store.bufferEvent({ id: run.id, name: run.id, payload: 1, publishedAt: 1 });
      expect(await store.removeBufferedEvent(run.id)).toBe(true);
    });
  });
}
