import { setImmediate as macrotask } from 'node:timers/promises';
import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore, type RunStatus, type WorkflowRun } from '../lib';
import { betweenStatements } from './support/between-statements';
import { atOnce, blockedSessions, eventually, OpenTransaction, untilBlocked } from './support/concurrency';
import { eachDatabase, KINDS, type SqlEm, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun, freshId } from './support/fixtures';
import { QueryLog } from './support/query-log';

const SERVERS = KINDS.filter(({ family }) => family !== 'sqlite');
const EMBEDDED = KINDS.filter(({ family }) => family === 'sqlite');

const begun: OpenTransaction[] = [];

async function holding(orm: MikroORM, statement: string, ...params: unknown[]): Promise<OpenTransaction> {
  const transaction = await OpenTransaction.holding(orm, statement, params);
  begun.push(transaction);
  return transaction;
}

/** The end of a lease: as it was asked for, or later by the time that its answer was held up. */
function expectEnd(run: WorkflowRun | null, askedMs: number, isLater: boolean): void {
  expect(run?.lockedBy).toBe('me');
  if (isLater) expect(run?.lockedUntil).toBeGreaterThanOrEqual(askedMs + 250);
  else expect(run?.lockedUntil).toBe(askedMs);
}

// What a failed test still holds would block the next.
afterEach(() => Promise.all(begun.splice(0).map((transaction) => transaction.rollback().catch(() => undefined))));

eachDatabase(SERVERS, (kind) => {
  const log = new QueryLog();
  let db: TestDatabase;
  let orm: MikroORM;
  let other: MikroORM;
  let store: MikroOrmStateStore;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady(log.options);
    store = new MikroOrmStateStore(orm);
    other = await db.open();
    await store.getRun('none');
  });
  afterAll(() => db.drop());

  async function stored(fields: Parameters<typeof aRun>[0] = {}): Promise<string> {
    const run = aRun(fields);
    await store.createRun(run);
    return run.id;
  }

  it('updates of different fields of one run all survive, though each waited for the other', async () => {
    const id = await stored();
    const competitor = await holding(other, "update durable_workflow_runs set origin = 'competitor' where id = ?", id);
    const rival = new MikroOrmStateStore(orm);
    const updates = [store.updateRun(id, { output: { n: 1 } }), rival.updateRun(id, { wakeAt: 5000 })];
    await untilBlocked(kind, other, 2);
    await competitor.commit();
    await Promise.all(updates);
    expect(await store.getRun(id)).toMatchObject({ output: { n: 1 }, wakeAt: 5000, origin: 'competitor' });
  });

  it('patches of one run through one store are made in the order of the calls: one waits, the others behind it', async () => {
    const id = await stored();
    const competitor = await holding(other, "update durable_workflow_runs set origin = 'competitor' where id = ?", id);
    const patches = [1, 2, 3].map((n) => store.updateRun(id, { output: n, searchAttributes: { n } }));
    await untilBlocked(kind, other);
    for (let turn = 0; turn < 20; turn += 1) await store.getRun('none');
    expect(await blockedSessions(kind, other)).toBe(1);
    await competitor.commit();
    await Promise.all(patches);
    expect(await store.getRun(id)).toMatchObject({ output: 3, searchAttributes: { n: 3 } });
  });

  describe('leases and patches asked for in one tick, one run locked by a competitor', () => {
    async function contended(change: string, ask: (id: string) => Promise<boolean>) {
      const ids = await Promise.all(Array.from({ length: 6 }, () => stored({ lockedBy: 'me', lockedUntil: 1000 })));
      const competitor = await holding(other, `update durable_workflow_runs set ${change} where id = ?`, ids[2]);
      const asked = ids.map(ask);
      await untilBlocked(kind, other);
      // By then the others have their answers.
      const answers = Promise.all(asked.filter((_, n) => n !== 2));
      const others = await Promise.race([answers, macrotask('they wait')]);
      return { competitor, others, waiting: asked[2] as Promise<boolean> };
    }
    const claim = (id: string) => store.tryLockRun(id, 'me too', 3000, 2000);
    const renew = (id: string) => store.renewRunLock(id, 'me', 3000);
    const patch = (id: string) => store.updateRun(id, { output: 'patched', wakeAt: 7 }).then(() => true);
    const taken = "locked_by = 'competitor', locked_until = '2030-01-01'";

    it.each([
      ['claims', claim],
      ['renewals', renew],
      ['patches', patch],
    ])(
      '%s: the others do not wait for it, and it is made when the competitor leaves the lease alone',
      async (_, ask) => {
        const { competitor, others, waiting } = await contended("origin = 'competitor'", ask);
        expect(others).toEqual([true, true, true, true, true]);
        await competitor.commit();
        expect(await waiting).toBe(true);
      },
    );

    it.each([
      ['claims', claim],
      ['renewals', renew],
    ])('%s: it is refused when the competitor has taken the lease', async (_, ask) => {
      const { competitor, others, waiting } = await contended(taken, ask);
      expect(others).toEqual([true, true, true, true, true]);
      await competitor.commit();
      expect(await waiting).toBe(false);
    });
  });

  it.each([
    [1, 1001, 'is won for its whole time from then on'],
    [6, 1001, 'with others: is won for its whole time from then on'],
    [1, 1000, 'is won as asked where it is too short to last in any case'],
    [1, 60_000, 'is won as asked where it has most of its time left'],
  ])('a lease that a lock has held up (%i asked for, %i ms): %s', async (count, leaseMs) => {
    const ids = await Promise.all(Array.from({ length: count }, () => stored()));
    const [id] = ids as [string];
    const competitor = await holding(other, "update durable_workflow_runs set origin = 'competitor' where id = ?", id);
    const askedAt = performance.now();
    const asked = ids.map((each) => store.tryLockRun(each, 'me', 5000 + leaseMs, 5000));
    await untilBlocked(kind, other);
    await eventually('a quarter of a second is over', async () => performance.now() - askedAt > 260);
    await competitor.commit();
    expect(await Promise.all(asked)).toEqual(ids.map(() => true));
    expectEnd(await store.getRun(id), 5000 + leaseMs, leaseMs === 1001);
    expect(await new MikroOrmStateStore(other).tryLockRun(id, 'peer', 9000, 5001)).toBe(false);
  });

  it('a lease that a lock has held up is not won where somebody else has taken it meanwhile', async () => {
    const id = await stored();
    const competitor = await holding(
      other,
      "update durable_workflow_runs set locked_by = 'them', locked_until = '2030-01-01' where id = ?",
      id,
    );
    const askedAt = performance.now();
    const asked = store.tryLockRun(id, 'me', 6001, 5000);
    await untilBlocked(kind, other);
    await eventually('a quarter of a second is over', async () => performance.now() - askedAt > 260);
    await competitor.commit();
    expect(await asked).toBe(false);
    expect((await store.getRun(id))?.lockedBy).toBe('them');
  });

  it('a lease that the release before it has held up is won: whoever woke the run would else have woken nobody', async () => {
    const id = await stored({ lockedBy: 'me', lockedUntil: 5000 });
    const competitor = await holding(other, "update durable_workflow_runs set origin = 'competitor' where id = ?", id);
    const written = store.updateRun(id, { output: 1 });
    await untilBlocked(kind, other);
    const askedAt = performance.now();
    const released = store.releaseRunLock(id);
    const asked = store.tryLockRun(id, 'me', 6001, 5000);
    await eventually('a quarter of a second is over', async () => performance.now() - askedAt > 260);
    await competitor.commit();
    await Promise.all([written, released]);
    expect(await asked).toBe(true);
    expectEnd(await store.getRun(id), 6001, true);
  });

  it('a workflow whose signal finds its run locked for long goes on when the lock is gone', async () => {
    const engine = new WorkflowEngine({ store, leaseMs: 1001 });
    const [id, token] = [freshId(), freshId('token')];
    engine.register('waits', '1', async (ctx) => ctx.waitForSignal(token));
    await engine.start('waits', {}, id);
    await engine.waitForRun(id);
    await store.settled();
    const competitor = await holding(other, "update durable_workflow_runs set origin = 'competitor' where id = ?", id);
    const signalled = engine.signal(token, 'paid');
    await untilBlocked(kind, other);
    const blockedAt = performance.now();
    await eventually('a quarter of a second is over', async () => performance.now() - blockedAt > 260);
    await competitor.commit();
    expect(await signalled).toMatchObject({ status: 'completed', output: 'paid' });
    await engine.drain();
    await store.settled();
  });

  it('a transaction of the host finds no buffered signal that was taken since its snapshot', async () => {
    const token = freshId('token');
    await store.bufferSignal(token, 1);
    const taken = await orm.em.fork().transactional(async (em) => {
      await (em as SqlEm).execute('select count(*) from durable_buffered_signals');
      await new MikroOrmStateStore(other).takeBufferedSignal(token);
      return store.withTransaction(em).takeBufferedSignal(token);
    });
    expect(taken).toBeNull();
  });

  it('whoever takes a buffered signal locks no other, so that nobody passes over what nobody takes', async () => {
    const token = freshId('token');
    for (let n = 1; n <= 4; n += 1) await store.bufferSignal(token, n);
    // Statistics of a table that holds little else have a server put a token's signals in order before it locks one.
    if (kind.family === 'mysql') await sql(other).execute('analyze table durable_buffered_signals');
    const ids = 'select id from durable_buffered_signals where token = ? order by id';
    const free: number[] = [];
    const between = betweenStatements(orm, async (statement) => {
      if (!/^select .* for update/.test(statement)) return;
      const text = `select payload from durable_buffered_signals where id = ? for update skip locked`;
      for (const { id } of await sql(other).execute<{ id: number }[]>(ids, [token]))
        free.push(
          ...(await sql(other).execute<{ payload: unknown }[]>(text, [id])).map(({ payload }) => Number(payload)),
        );
    });
    // An encoded payload is read before it is deleted, on every database.
    const codec = { encode: (value: unknown) => value, decode: (value: unknown) => value };
    const taker = new MikroOrmStateStore(between, { codec });
    const [first] = await sql(other).execute<{ id: number }[]>(ids, [token]);
    const competitor = await holding(other, 'delete from durable_buffered_signals where id = ?', first?.id);
    const taken = taker.takeBufferedSignal(token);
    await untilBlocked(kind, other);
    await competitor.commit();
    expect(await taken).toEqual({ payload: 2 });
    expect(free).toEqual([3, 4]);
  });

  describe('a buffered signal that a competitor is taking', () => {
    async function contended(signals: number) {
      const token = freshId('token');
      for (let n = 1; n <= signals; n += 1) await store.bufferSignal(token, n);
      const [first] = await sql(other).execute<{ id: number }[]>(
        'select min(id) as id from durable_buffered_signals where token = ?',
        [token],
      );
      const competitor = await holding(other, 'delete from durable_buffered_signals where id = ?', first?.id);
      const taken = store.takeBufferedSignal(token);
      await untilBlocked(kind, other);
      return { competitor, taken, token };
    }

    it('is passed over for the next when the competitor commits', async () => {
      const { competitor, taken } = await contended(2);
      await competitor.commit();
      expect(await taken).toEqual({ payload: 2 });
    });

    it('is passed over for one that came while the call waited', async () => {
      const { competitor, taken, token } = await contended(1);
      await new MikroOrmStateStore(other).bufferSignal(token, 'late');
      await competitor.commit();
      expect(await taken).toEqual({ payload: 'late' });
    });

    // Without `returning` whoever lost would go on losing in a crowd.
    const skips = kind.system === 'mysql' ? it : it.skip;
    skips('is lost once: the next one that another competitor is taking is passed over too', async () => {
      const { competitor, taken, token } = await contended(3);
      const [second] = await sql(other).execute<{ id: number }[]>(
        "select id from durable_buffered_signals where token = ? and payload = '2'",
        [token],
      );
      const rival = await holding(other, 'delete from durable_buffered_signals where id = ?', second?.id);
      await competitor.commit();
      expect(await taken).toEqual({ payload: 3 });
      await rival.rollback();
    });

    it('was the last when the competitor commits and none is left', async () => {
      const { competitor, taken } = await contended(1);
      await competitor.commit();
      expect(await taken).toBeNull();
    });

    it('is taken after all when the competitor rolls back', async () => {
      const { competitor, taken } = await contended(2);
      await competitor.rollback();
      expect(await taken).toEqual({ payload: 1 });
    });
  });

  it('a crowd of takers empties a queue, and none of them fails', async () => {
    const token = freshId('token');
    const signals = Array.from({ length: 320 }, (_, n) => n);
    await Promise.all(signals.map((n) => store.bufferSignal(token, n)));
    const orms = await Promise.all([1, 2, 3].map(() => db.open()));
    const stores = [store, ...orms.map((each) => new MikroOrmStateStore(each))];
    const taken = await atOnce(signals.length, stores, (each) => each.takeBufferedSignal(token));
    expect(taken.map((signal) => Number(signal?.payload)).sort((a, b) => a - b)).toEqual(signals);
    expect(await store.takeBufferedSignal(token)).toBeNull();
  });

  it.each(['commit', 'rollback'] as const)('a waiter that a competitor deletes goes to one: %s', async (end) => {
    const waiter = { token: freshId('token'), runId: 'run', seq: 1 };
    await store.putSignalWaiter(waiter);
    const competitor = await holding(other, 'delete from durable_signal_waiters where token = ?', waiter.token);
    const taken = store.takeSignalWaiter(waiter.token);
    await untilBlocked(kind, other);
    await competitor[end]();
    expect(await taken).toEqual(end === 'commit' ? null : waiter);
  });

  it('a run that is queued again while a prune waits for it stays, with all it has', async () => {
    const failed = { status: 'failed' as RunStatus, updatedAt: new Date(1000) };
    const [requeued, pruned] = [
      await stored({ ...failed, id: freshId('a') }),
      await stored({ ...failed, id: freshId('b') }),
    ];
    for (const runId of [requeued, pruned]) await store.saveCheckpoint(aCheckpoint({ runId, seq: 0 }));
    const requeue = await holding(other, "update durable_workflow_runs set status = 'pending' where id = ?", requeued);
    const prune = store.pruneTerminalRuns({ statuses: ['failed'], maxAge: 1 }, 5000, 10);
    await untilBlocked(kind, other);
    await requeue.commit();
    expect(await prune).toBe(1);
    expect(await store.getRun(requeued)).toMatchObject({ status: 'pending' });
    expect(await store.listCheckpoints(requeued)).toHaveLength(1);
    expect(await store.getRun(pruned)).toBeNull();
    expect(await store.listCheckpoints(pruned)).toEqual([]);
  });

  it('a run that has failed again while a prune waits for it stays: it is no longer the old one', async () => {
    const failed = { status: 'failed' as RunStatus, updatedAt: new Date(1000) };
    const [again, pruned] = [await stored(failed), await stored(failed)];
    const change = 'update durable_workflow_runs set updated_at = ? where id = ?';
    const competitor = await holding(other, change, '1970-01-01 00:00:02', again);
    const prune = store.pruneTerminalRuns({ statuses: ['failed'], maxAge: 1 }, 5000, 10);
    await untilBlocked(kind, other);
    await competitor.commit();
    expect(await prune).toBe(1);
    expect([await store.getRun(again), await store.getRun(pruned)]).toEqual([
      expect.objectContaining({ id: again }),
      null,
    ]);
  });

  it('rewrites of the attributes of one run follow each other', async () => {
    const id = await stored();
    const competitor = await holding(other, 'select id from durable_workflow_runs where id = ? for update', id);
    const rewrites = [1, 2, 3, 4].map((n) =>
      new MikroOrmStateStore(orm).updateRun(id, { searchAttributes: { [`only${n}`]: n } }),
    );
    await untilBlocked(kind, other, 4);
    await competitor.commit();
    await Promise.all(rewrites);
    const { searchAttributes } = (await store.getRun(id)) ?? {};
    const rows = await sql(other).execute<{ name: string; n: unknown }[]>(
      `select ${other.em.getPlatform().quoteIdentifier('key')} as name, num_value as n from durable_run_attributes where run_id = ?`,
      [id],
    );
    expect(Object.fromEntries(rows.map(({ name, n }) => [name, Number(n)]))).toEqual(searchAttributes);
  });

  it('a call that a deadlock with the host undid is repeated, and both get through', async () => {
    let undone = 0;
    // PostgreSQL undoes whoever has waited for its `deadlock_timeout` first, on a busy machine now and then the host.
    for (let round = 0; round < 5 && undone === 0; round += 1) undone = await deadlocked();
    expect(undone).toBe(1);
  });

  /** A deletion and a host lock each other's rows; how often the deletion was undone. It always gets through. */
  async function deadlocked(): Promise<number> {
    const id = await stored();
    await store.saveCheckpoint(aCheckpoint({ runId: id, seq: 0 }));
    const host = await holding(other, 'update durable_step_checkpoints set attempts = 9 where run_id = ?', id);
    // InnoDB undoes whoever has written less.
    for (let n = 0; n < 20; n += 1) await host.execute(`insert into host_orders values ('${freshId()}', ${n})`);
    const made = await log.of(async () => {
      const deletion = store.deleteRun(id);
      await untilBlocked(kind, other);
      const update = host.execute("update durable_workflow_runs set origin = 'host' where id = ?", [id]);
      await update.then(
        () => host.commit(),
        () => host.rollback(),
      );
      await deletion;
    });
    expect([await store.getRun(id), await store.listCheckpoints(id)]).toEqual([null, []]);
    return made.filter(({ failed, label }) => failed && label === 'deleteRun').length;
  }
});

eachDatabase(EMBEDDED, (kind) => {
  const log = new QueryLog();
  let db: TestDatabase;
  let other: MikroORM;
  let store: MikroOrmStateStore;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    const orm = await db.openReady(log.options);
    store = new MikroOrmStateStore(orm);
    other = await db.open();
    // The driver would wait inside the one thread that also has to let go of the lock.
    await sql(orm).execute('pragma busy_timeout = 0');
  });
  afterAll(() => db.drop());

  const calls: [name: string, call: () => Promise<unknown>][] = [
    ['createRun', () => store.createRun(aRun({ searchAttributes: { a: 1 } }))],
    ['saveCheckpoint', () => store.saveCheckpoint(aCheckpoint())],
    ['takeBufferedSignal', () => store.takeBufferedSignal('none')],
    ['pruneTerminalRuns', () => store.pruneTerminalRuns({ statuses: ['failed'], maxAge: 1 }, 5000, 10)],
    ['transaction', () => store.transaction((tx) => tx.saveCheckpoint(aCheckpoint()))],
  ];
  it('a lease that another writer has held up for a quarter of its time is won for its whole time from then on', async () => {
    const run = aRun();
    await store.createRun(run);
    const writer = await holding(other, `insert into host_orders values ('${freshId()}', 1)`);
    const askedAt = performance.now();
    const asked = store.tryLockRun(run.id, 'me', 2001, 1000);
    await eventually('a quarter of a second is over', async () => performance.now() - askedAt > 260);
    await writer.commit();
    expect(await asked).toBe(true);
    expectEnd(await store.getRun(run.id), 2001, true);
  });

  it.each(calls)('%s waits while another connection writes, and succeeds after it', async (name, call) => {
    const writer = await holding(other, `insert into host_orders values ('${freshId()}', 1)`);
    log.take();
    const outcome = call();
    const refused = eventually('the database was busy', async () => log.take().some(({ failed }) => failed));
    await Promise.race([refused, outcome]);
    await refused;
    await writer.commit();
    await outcome;
    expect(log.take().every(({ label }) => label?.startsWith(name))).toBe(true);
  });
});
