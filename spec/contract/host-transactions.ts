import { AsyncResource } from 'node:async_hooks';
import type { EntityManager } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { type SqlEm, sql } from '../support/databases';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { groupNeeds, needs, type Subject } from './subject';

export function hostTransactions(subject: Subject): void {
  groupNeeds(subject, 'database')('a transaction of the host', () => {
    joining(subject);
    everyMethod(subject);
    notJoining(subject);
    singleConnection(subject);
  });
}

class Undo extends Error {}

function joining(subject: Subject): void {
  it('commits what the store wrote in it together with the host’s own', async () => {
    const [run, orderId] = [aRun({ searchAttributes: { a: 1 } }), freshId('order')];
    await host(subject, async (em, store) => {
      await em.execute('insert into host_orders (id, total) values (?, 1)', [orderId]);
      await store.createRun(run);
    });
    expect((await subject.store.getRun(run.id))?.id).toBe(run.id);
    expect(await order(subject, orderId)).toHaveLength(1);
  });

  it('rolls back what the store wrote in it together with the host’s own', async () => {
    const [run, orderId] = [aRun({ searchAttributes: { a: 1 } }), freshId('order')];
    const undone = host(subject, async (em, store) => {
      await em.execute('insert into host_orders (id, total) values (?, 1)', [orderId]);
      await store.createRun(run);
      await store.saveCheckpoint(aCheckpoint({ runId: run.id }));
      throw new Undo();
    });
    await expect(undone).rejects.toBeInstanceOf(Undo);
    expect(await subject.store.getRun(run.id)).toBeNull();
    expect(await subject.store.listCheckpoints(run.id)).toEqual([]);
    expect(await order(subject, orderId)).toEqual([]);
  });

  needs(
    subject,
    'pool',
    'changesBehindReads',
  )('rewrites attributes as others have left them, though it has seen them before', async () => {
    const run = aRun({ searchAttributes: { a: 1 } });
    await subject.store.createRun(run);
    await host(subject, async (em, store) => {
      // On MySQL and MariaDB a transaction of the host goes on seeing what its first read saw.
      await em.execute('select * from durable_run_attributes where run_id = ?', [run.id]);
      await (subject.peers[0] as MikroOrmStateStore).updateRun(run.id, { searchAttributes: { b: 2 } });
      await store.updateRun(run.id, { searchAttributes: { a: 1 } });
    });
    const rows = await sql(subject.orm).execute('select * from durable_run_attributes where run_id = ?', [run.id]);
    expect(rows).toEqual([expect.objectContaining({ num_value: 1 })]);
    expect((await subject.store.getRun(run.id))?.searchAttributes).toEqual({ a: 1 });
  });

  needs(
    subject,
    'pool',
    'changesBehindReads',
  )('takes nothing that others have taken since, though it has seen it before', async () => {
    const [peer] = subject.peers as [MikroOrmStateStore];
    const [waiter, token] = [{ token: freshId('token'), runId: 'run', seq: 1 }, freshId('token')];
    await peer.putSignalWaiter(waiter);
    for (const payload of ['first', 'second']) await peer.bufferSignal(token, payload);
    const doomed = aRun();
    await peer.createRun(doomed);
    await host(subject, async (em, store) => {
      for (const table of ['signal_waiters', 'buffered_signals', 'workflow_runs']) {
        await em.execute(`select * from durable_${table}`);
      }
      await peer.takeSignalWaiter(waiter.token);
      await peer.takeBufferedSignal(token);
      await peer.deleteRun(doomed.id);
      expect(await store.takeSignalWaiter(waiter.token)).toBeNull();
      expect(await store.takeBufferedSignal(token)).toEqual({ payload: 'second' });
      await expect(store.updateRun(doomed.id, { status: 'running' })).rejects.toThrow('not found');
    });
  });

  it('goes on after a call that was refused', async () => {
    const run = aRun();
    await subject.store.createRun(run);
    await host(subject, async (_, store) => {
      await expect(store.updateRun(freshId(), { status: 'dead' })).rejects.toThrow('not found');
      await expect(store.updateRun(freshId(), { searchAttributes: { a: 1 } })).rejects.toThrow('not found');
      await store.createRun({ ...run, input: 'again', searchAttributes: { a: 1 } });
      await store.updateRun(run.id, { status: 'running' });
    });
    expect(await subject.store.getRun(run.id)).toMatchObject({ status: 'running', input: run.input });
  });

  it('undoes a step transaction alone when its work fails', async () => {
    const [kept, lost] = [aCheckpoint(), aCheckpoint()];
    await host(subject, async (_, store) => {
      await store.saveCheckpoint(kept);
      const inner = store.transaction(async (tx) => {
        await tx.saveCheckpoint(lost);
        throw new Undo();
      });
      await expect(inner).rejects.toBeInstanceOf(Undo);
    });
    expect(await subject.store.getCheckpoint(kept.runId, 0)).toEqual(kept);
    expect(await subject.store.getCheckpoint(lost.runId, 0)).toBeNull();
  });

  it('looks at no entities of the host when it is joined', async () => {
    await sql(subject.orm).transactional(async (em) => {
      const looks = [subject.orm.em, em].map((each) => jest.spyOn(each, 'getMetadata'));
      subject.store.withTransaction(em);
      for (const look of looks) expect(look).not.toHaveBeenCalled();
    });
    jest.restoreAllMocks();
  });

  it('needs a transaction to join', () => {
    const facts = { name: 'DurableTransactionError', code: 'DURABLE_TRANSACTION_REQUIRED' };
    expect(() => subject.store.withTransaction(subject.orm.em.fork())).toThrow(expect.objectContaining(facts));
  });
}

function everyMethod(subject: Subject): void {
  it.each(['commit', 'rollback'])('sees its own writes, method by method, before the %s', async (end) => {
    const [id, namespace] = [freshId(), freshId('ns')];
    const done = host(subject, async (_, store) => {
      await store.createRun(aRun({ id, namespace, status: 'running', searchAttributes: { a: 1 } }));
      await store.updateRun(id, { searchAttributes: { b: 2 }, tags: ['t'] });
      expect(await store.tryLockRun(id, 'me', 9, 1)).toBe(true);
      expect(await store.renewRunLock(id, 'me', 19)).toBe(true);
      expect(await store.getRun(id)).toMatchObject({ lockedUntil: 19, searchAttributes: { b: 2 } });
      await store.releaseRunLock(id);
      expect(
        await store.listRuns({ namespace, tag: 't', attributes: [{ key: 'b', op: 'eq', value: 2 }] }),
      ).toHaveLength(1);
      expect(await store.listIncompleteRuns(namespace)).toHaveLength(1);
      await signals(store, id);
      await store.transaction((tx) => tx.saveCheckpoint(aCheckpoint({ runId: id })));
      expect(await store.withScope({ namespace }).listCheckpoints(id)).toHaveLength(1);
      if (end === 'rollback') throw new Undo();
      await store.deleteRun(id);
      expect(await store.listCheckpoints(id)).toEqual([]);
    });
    await done.catch((error: unknown) => expect(error).toBeInstanceOf(Undo));
    expect(await subject.store.getRun(id)).toBeNull();
    expect(await subject.store.takeSignalWaiter(id)).toBeNull();
    expect(await subject.store.takeBufferedSignal(`${id}:left`)).toEqual(end === 'commit' ? { payload: 3 } : null);
  });
}

async function signals(store: MikroOrmStateStore, token: string): Promise<void> {
  await store.putSignalWaiter({ token, runId: token, seq: 1 });
  expect(await store.listSignalWaiters(token)).toHaveLength(1);
  await store.bufferSignal(token, 1);
  await store.bufferSignal(`${token}:left`, 3);
  await store.bufferEvent({ id: token, name: token, payload: 2, publishedAt: 1 });
  expect(await store.takeBufferedSignal(token)).toEqual({ payload: 1 });
  expect(await store.listBufferedEvents(token, 9)).toHaveLength(1);
  expect(await store.removeBufferedEvent(token)).toBe(true);
}

function notJoining(subject: Subject): void {
  needs(subject, 'pool')('is not joined by a call that was not asked to: the call commits by itself', async () => {
    const run = aRun({ searchAttributes: { a: 1 } });
    const checkpoint = aCheckpoint({ runId: run.id });
    const undone = subject.orm.em.fork().transactional(async () => {
      await subject.store.createRun(run);
      await subject.store.transaction((tx) => tx.saveCheckpoint(checkpoint));
      throw new Undo();
    });
    await expect(undone).rejects.toBeInstanceOf(Undo);
    expect((await subject.store.getRun(run.id))?.id).toBe(run.id);
    expect(await subject.store.getCheckpoint(run.id, 0)).toEqual(checkpoint);
  });

  needs(subject, 'pool')('hides its uncommitted writes from a call that did not join', async () => {
    const run = aRun();
    await host(subject, async (_, store) => {
      await store.createRun(run);
      expect(await subject.store.getRun(run.id)).toBeNull();
    });
    expect(await subject.store.getRun(run.id)).not.toBeNull();
  });
}

function singleConnection(subject: Subject): void {
  it('fails a call at once that could only wait for its own connection', async () => {
    const orm = await subject.open({ pool: { min: 0, max: 1 } });
    const store = new MikroOrmStateStore(orm);
    const run = aRun();
    const facts = { name: 'DurableTransactionError', code: 'DURABLE_WOULD_DEADLOCK' };
    await orm.em.fork().transactional(async (em) => {
      await expect(store.createRun(run)).rejects.toMatchObject(facts);
      await expect(store.getRun(run.id)).rejects.toMatchObject(facts);
      await expect(store.transaction(async () => 1)).rejects.toMatchObject(facts);
      await expect(store.deleteRun(run.id)).rejects.toMatchObject(facts);
      await expect(store.ensureSchema()).rejects.toMatchObject(facts);
      await store.withTransaction(em).createRun(run);
    });
    expect((await store.getRun(run.id))?.id).toBe(run.id);
    await store.transaction(async () => {
      await expect(store.getRun(run.id)).rejects.toMatchObject(facts);
    });
    await orm.close(true);
  });

  it('lets a call through that was started in a transaction and runs after it', async () => {
    const orm = await subject.open({ pool: { min: 0, max: 1 } });
    const store = new MikroOrmStateStore(orm);
    let later: () => Promise<unknown> = async () => undefined;
    await orm.em.fork().transactional(async () => {
      later = bound(() => store.getRun(freshId()));
    });
    expect(await later()).toBeNull();
    await orm.close(true);
  });
}

/** The function as called from here, wherever it is called: asynchronous context goes with it. */
function bound<T>(call: () => T): () => T {
  return AsyncResource.bind(call);
}

/** A transaction of the host, and the store inside it. */
function host(subject: Subject, work: (em: SqlEm, store: MikroOrmStateStore) => Promise<void>): Promise<void> {
  return sql(subject.orm).transactional((em: EntityManager) => work(em as SqlEm, subject.store.withTransaction(em)));
}

function order({ orm }: Subject, id: string): Promise<unknown[]> {
  return sql(orm).execute('select id from host_orders where id = ?', [id]);
}
