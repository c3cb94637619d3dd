import type { EntityManager } from '@mikro-orm/core';
import { DurableTransactionError, type StepCheckpoint, type StoreTransaction } from '../../lib';
import { Gate, untilBlocked } from '../support/concurrency';
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
      completingOnce(subject);
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
    await subject.store.saveCheckpoint(aFullCheckpoint({ runId, stepId: 's', status: 'failed' }));
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

/** Two turns of a run may execute one step; see ENGINE-CONTRACT 2.3. */
function completingOnce(subject: Subject): void {
  const book = async (id: string, checkpoint: StepCheckpoint, before: () => Promise<unknown> = async () => undefined) =>
    subject.store.transaction(async (tx) => {
      await em(tx).execute('insert into host_orders (id, total) values (?, 1)', [id]);
      await tx.saveCheckpoint(checkpoint);
      await before();
      return checkpoint.output;
    });

  it('undoes the work of a step that is completed, and gives what the step gave', async () => {
    const [first, second] = [freshId('order'), freshId('order')];
    const checkpoint = aCheckpoint({ output: { receipt: 1 } });
    expect(await book(first, checkpoint)).toEqual({ receipt: 1 });
    expect(await book(second, { ...checkpoint, output: { receipt: 2 } })).toEqual({ receipt: 1 });
    expect([await order(subject, first), await order(subject, second)]).toEqual([[{ id: first, total: 1 }], []]);
    expect(await subject.store.listCheckpoints(checkpoint.runId)).toEqual([checkpoint]);
  });

  it('gives what the work gave, of an execution whose saved output is another, only where that is the stored one', async () => {
    const checkpoint = aCheckpoint({ output: { encoded: 1 } });
    const id = freshId('order');
    const run = (output: unknown, given: string) =>
      subject.store.transaction(async (tx) => {
        await tx.saveCheckpoint({ ...checkpoint, output });
        await em(tx).execute('insert into host_orders (id, total) values (?, 1)', [`${id}-${given}`]);
        return given;
      });
    expect([await run({ encoded: 1 }, 'one'), await run({ encoded: 1 }, 'same')]).toEqual(['one', 'same']);
    const other = run({ encoded: 2 }, 'two');
    await expect(other).rejects.toThrow(DurableTransactionError);
    await expect(other).rejects.toMatchObject({ code: 'DURABLE_STEP_SUPERSEDED' });
    await expect(other).rejects.toThrow(`step 0 of run ${checkpoint.runId}`);
    expect(await subject.store.listCheckpoints(checkpoint.runId)).toEqual([checkpoint]);
    const orders = ['one', 'same', 'two'].map((given) => order(subject, `${id}-${given}`));
    expect((await Promise.all(orders)).map((rows) => rows.length)).toEqual([1, 0, 0]);
  });

  it.each([
    ['failed', { status: 'failed' as const }],
    ['of another name', { name: 'another' }],
  ])('replaces a checkpoint %s', async (_what, before) => {
    const checkpoint = aCheckpoint({ output: 'new' });
    await subject.store.saveCheckpoint({ ...checkpoint, status: 'completed', output: 'old', ...before });
    const id = freshId('order');
    await book(id, checkpoint);
    expect(await subject.store.listCheckpoints(checkpoint.runId)).toEqual([checkpoint]);
    expect(await order(subject, id)).toHaveLength(1);
  });

  // Where serializable is the default, the database undoes the second instead.
  needs(subject, 'pool', 'rowLocks').each([
    ['commits', 'first', undefined],
    ['fails', 'second', new Error('no')],
  ] as const)('waits for an execution under way, and goes by how it ends: it %s', async (_end, winner, failure) => {
    const ids = { first: freshId('order'), second: freshId('order') };
    const checkpoint = aCheckpoint();
    const [saved, goOn] = [new Gate(), new Gate()];
    const first = book(ids.first, { ...checkpoint, output: 'first' }, async () => {
      saved.open();
      await goOn.passed;
      if (failure) throw failure;
    }).catch((error) => error);
    await saved.passed;
    const second = book(ids.second, { ...checkpoint, output: 'second' });
    await untilBlocked(subject.kind, subject.orm).finally(() => goOn.open());
    expect(await first).toBe(failure ?? 'first');
    expect(await second).toBe(winner);
    expect((await order(subject, ids.first)).length + (await order(subject, ids.second)).length).toBe(1);
    expect(await order(subject, ids[winner])).toHaveLength(1);
    expect(await subject.store.listCheckpoints(checkpoint.runId)).toEqual([{ ...checkpoint, output: winner }]);
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
