import type { EntityManager } from '@mikro-orm/core';
import type { StoreTransaction } from '../../lib';
import { Gate } from '../support/concurrency';
import { type SqlEm, sql } from '../support/databases';
import { aCheckpoint, aFullCheckpoint, aRun, freshId } from '../support/fixtures';
import { HostOrderEntity } from '../support/host';
import { groupNeeds, needs, type Subject } from './subject';

export function transactions(subject: Subject): void {
  describe('transaction', () => {
    committing(subject);
    groupNeeds(subject, 'rollback')('on a database', () => {
      rollingBack(subject);
      hostWrites(subject);
    });
    besideIt(subject);
  });
}

function committing(subject: Subject): void {
  it('commits the checkpoints saved in it and gives what the work gave', async () => {
    const checkpoint = aFullCheckpoint();
    const result = await subject.store.transaction(async (tx) => {
      await tx.saveCheckpoint(checkpoint);
      return { done: true };
    });
    expect(result).toEqual({ done: true });
    expect(await subject.store.getCheckpoint(checkpoint.runId, 0)).toEqual(checkpoint);
  });

  it('replaces the whole checkpoint here too', async () => {
    const { runId } = aFullCheckpoint();
    await subject.store.saveCheckpoint(aFullCheckpoint({ runId, stepId: 's' }));
    const after = aCheckpoint({ runId, stepId: 's' });
    await subject.store.transaction((tx) => tx.saveCheckpoint(after));
    expect(await subject.store.getCheckpoint(runId, 0)).toEqual(after);
  });

  it('passes undefined on and accepts work that writes nothing', async () => {
    expect(await subject.store.transaction(async () => undefined)).toBeUndefined();
  });
}

function rollingBack(subject: Subject): void {
  it('undoes everything when the work fails, and throws its very error', async () => {
    const { id, checkpoint } = { id: freshId('order'), checkpoint: aCheckpoint() };
    const failure = new Error('no');
    const call = subject.store.transaction(async (tx) => {
      await tx.saveCheckpoint(checkpoint);
      await em(tx).execute('insert into host_orders (id, total) values (?, 1)', [id]);
      throw failure;
    });
    expect(await call.catch((error) => error === failure)).toBe(true);
    expect(await subject.store.getCheckpoint(checkpoint.runId, 0)).toBeNull();
    expect(await order(subject, id)).toEqual([]);
  });

  it.each([
    ['a deadlock', Object.assign(new Error('deadlock'), { code: '40P01', errno: 1213 })],
    ['busy', Object.assign(new Error('busy'), { code: 'SQLITE_BUSY' })],
    ['what is no error', 'text'],
  ])('runs the work once, even when it fails with %s', async (_, failure) => {
    let runs = 0;
    const call = subject.store.transaction(async () => {
      runs += 1;
      throw failure;
    });
    await expect(call).rejects.toBe(failure);
    expect(runs).toBe(1);
  });

  it('undoes everything when a checkpoint is refused', async () => {
    const [good, bad] = [aCheckpoint(), aCheckpoint({ seq: 1.5 })];
    const call = subject.store.transaction(async (tx) => {
      await tx.saveCheckpoint(good);
      await tx.saveCheckpoint(bad);
    });
    await expect(call).rejects.toMatchObject({ code: 'DURABLE_INVALID_NUMBER' });
    expect(await subject.store.getCheckpoint(good.runId, 0)).toBeNull();
  });

  it('works again after a failure', async () => {
    await subject.store.transaction(() => Promise.reject(new Error('no'))).catch(() => undefined);
    const checkpoint = aCheckpoint();
    await subject.store.transaction((tx) => tx.saveCheckpoint(checkpoint));
    expect(await subject.store.getCheckpoint(checkpoint.runId, 0)).toEqual(checkpoint);
  });
}

function hostWrites(subject: Subject): void {
  it('hands out the transactional EntityManager, and flushes what is persisted on it', async () => {
    const id = freshId('order');
    await subject.store.transaction(async (tx) => {
      expect(em(tx).isInTransaction()).toBe(true);
      em(tx).persist(em(tx).create(HostOrderEntity, { id, total: 42 }));
      await tx.saveCheckpoint(aCheckpoint());
    });
    expect(await order(subject, id)).toEqual([{ id, total: 42 }]);
  });

  it('flushes nothing of work that fails', async () => {
    const id = freshId('order');
    const call = subject.store.transaction(async (tx) => {
      em(tx).persist(em(tx).create(HostOrderEntity, { id, total: 42 }));
      throw new Error('no');
    });
    await expect(call).rejects.toThrow('no');
    expect(await order(subject, id)).toEqual([]);
  });

  it('shows the host its own writes and the checkpoints, in order', async () => {
    const checkpoint = aCheckpoint({ output: 'first' });
    await subject.store.transaction(async (tx) => {
      const seen = () =>
        em(tx).execute('select output from durable_step_checkpoints where run_id = ?', [checkpoint.runId]);
      expect(await seen()).toEqual([]);
      await tx.saveCheckpoint(checkpoint);
      expect(await seen()).toHaveLength(1);
      await tx.saveCheckpoint({ ...checkpoint, output: 'second' });
    });
    expect((await subject.store.getCheckpoint(checkpoint.runId, 0))?.output).toBe('second');
  });
}

function besideIt(subject: Subject): void {
  needs(subject, 'pool')('keeps its checkpoints to itself until it commits', async () => {
    const checkpoint = aCheckpoint();
    await subject.store.transaction(async (tx) => {
      await tx.saveCheckpoint(checkpoint);
      expect(await subject.store.getCheckpoint(checkpoint.runId, 0)).toBeNull();
      expect(await subject.peers[0]?.getCheckpoint(checkpoint.runId, 0)).toBeNull();
    });
    expect(await subject.peers[0]?.getCheckpoint(checkpoint.runId, 0)).toEqual(checkpoint);
  });

  needs(subject, 'database')('runs many at once, each on its own', async () => {
    const all = Array.from({ length: 12 }, () => aCheckpoint());
    const stores = [subject.store, ...subject.peers];
    const works = all.map((checkpoint, n) =>
      stores[n % stores.length]!.transaction((tx) => tx.saveCheckpoint(checkpoint)),
    );
    await Promise.all(works);
    for (const checkpoint of all) expect(await subject.store.getCheckpoint(checkpoint.runId, 0)).toEqual(checkpoint);
  });

  needs(subject, 'database')('lets other calls of the store wait for it, not fail', async () => {
    const run = aRun();
    const begun = new Gate();
    const work = subject.store.transaction(async (tx) => {
      begun.open();
      await tx.saveCheckpoint(aCheckpoint());
      await tx.saveCheckpoint(aCheckpoint());
    });
    await begun.passed;
    await Promise.all([work, subject.store.createRun(run)]);
    expect(await subject.store.getRun(run.id)).not.toBeNull();
  });
}

function em(tx: StoreTransaction): SqlEm & EntityManager {
  return tx.raw as SqlEm;
}

function order({ orm }: Subject, id: string): Promise<unknown[]> {
  return sql(orm).execute('select id, total from host_orders where id = ?', [id]);
}
