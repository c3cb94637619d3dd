import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore, type RunStatus } from '../lib';
import { blockedSessions, eventually, Gate, OpenTransaction, untilBlocked } from './support/concurrency';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aRun, freshId } from './support/fixtures';
import { intercept } from './support/intercept';
import { QueryLog } from './support/query-log';

/** No claim of these engines comes too late to be won, however busy the machine is. */
const LEASE_MS = 86_400_000;
const LEASED = { status: 'running' as RunStatus, lockedBy: 'me', lockedUntil: 60_000 };

/**
 * The engine releases a run's lease without waiting for the write of its final status, and for a suspending run even
 * before it begins that write. In between, another process must not find the run unlocked with its old status.
 */
eachDatabase(KINDS, (kind) => {
  const log = new QueryLog();
  let db: TestDatabase;
  let orm: MikroORM;
  let store: MikroOrmStateStore;
  let peer: MikroOrmStateStore;
  let other: MikroORM;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady(log.options);
    other = await db.open();
    store = new MikroOrmStateStore(orm);
    peer = new MikroOrmStateStore(other);
    // Before anything is held: what a store asks the server once.
    await Promise.all([store.getRun('none'), peer.getRun('none')]);
  });
  beforeEach(() => db.clear(other));
  afterAll(() => db.drop());

  async function leased(): Promise<string> {
    const run = aRun(LEASED);
    await store.createRun(run);
    return run.id;
  }

  const owner = async (id: string) => (await peer.getRun(id))?.lockedBy;

  it('a release goes after the update that follows the read it was issued with', async () => {
    const id = await leased();
    const made = await log.of(() =>
      Promise.all([
        store.getRun(id).then(() => store.updateRun(id, { status: 'suspended' })),
        store.releaseRunLock(id),
      ]),
    );
    expect(made.map(({ label }) => label)).toEqual(['getRun', 'updateRun', 'releaseRunLock']);
    expect(await owner(id)).toBeUndefined();
  });

  it.each(['completed', 'cancelled', 'dead'] as RunStatus[])('a %s run is not leased any more', async (status) => {
    const run = aRun({ status });
    await store.createRun(run);
    expect(await store.tryLockRun(run.id, 'me', 2000, 1000)).toBe(false);
    expect(await owner(run.id)).toBeUndefined();
  });

  it.each(['pending', 'running', 'suspended', 'cancelling', 'blocked', 'failed'] as RunStatus[])(
    'a %s run is leased',
    async (status) => {
      const run = aRun({ status });
      await store.createRun(run);
      expect(await store.tryLockRun(run.id, 'me', 2000, 1000)).toBe(true);
    },
  );

  it('a peer that listed a run before it ended does not execute it again', async () => {
    const listed = new Gate();
    const goOn = new Gate();
    const slowToLock = intercept(peer, 'listIncompleteRuns', async (list) => {
      const runs = await list();
      listed.open();
      await goOn.passed;
      return runs;
    });
    const executedBy: string[] = [];
    const engines = { engine: store, peer: slowToLock } as const;
    const [engine, poller] = Object.entries(engines).map(([name, each]) => {
      const one = new WorkflowEngine({ store: each, leaseMs: LEASE_MS });
      one.register('work', '1', async () => {
        executedBy.push(name);
        await listed.passed;
      });
      return one;
    }) as [WorkflowEngine, WorkflowEngine];
    const id = freshId();
    await engine.start('work', {}, id);
    await eventually('the run is running', async () => (await store.getRun(id))?.status === 'running');
    const recovered = poller.recoverIncomplete();
    await engine.waitForRun(id, { until: 'terminal' });
    await eventually('the lease is free', async () => (await owner(id)) === undefined);
    goOn.open();
    expect(await recovered).toEqual([]);
    expect(await store.getRun(id)).toMatchObject({ status: 'completed' });
    expect(executedBy).toEqual(['engine']);
  });

  if (kind.family === 'sqlite') return;

  /** Keep every write to the run waiting, until the transaction ends. */
  const holding = async (id: string) => {
    const text = 'select id from durable_workflow_runs where id = ? for update';
    const transaction = await OpenTransaction.holding(other, text, [id]);
    begun.push(transaction);
    return transaction;
  };
  const begun: OpenTransaction[] = [];
  // What a failed test still holds would block the next.
  afterEach(() => Promise.all(begun.splice(0).map((transaction) => transaction.rollback().catch(() => undefined))));

  /** One write waits for the row, and a release that did not wait for that write would be the second. */
  async function onlyTheUpdateWaits() {
    await untilBlocked(kind, other);
    for (let turn = 0; turn < 20; turn += 1) await store.getRun('none');
    expect(await blockedSessions(kind, other)).toBe(1);
  }

  const settlings: [name: string, settle: (id: string) => Promise<void>][] = [
    ['that is under way', (id) => store.updateRun(id, { status: 'suspended' })],
    [
      'that a read under way leads to',
      (id) => store.getRun(id).then(() => store.updateRun(id, { status: 'suspended' })),
    ],
  ];
  it.each(settlings)('a release waits for an update %s, and the lease is held until then', async (_name, settle) => {
    const id = await leased();
    const held = await holding(id);
    const update = settle(id);
    const release = store.releaseRunLock(id);
    await onlyTheUpdateWaits();
    expect(await owner(id)).toBe('me');
    await held.commit();
    await Promise.all([update, release]);
    expect(await peer.getRun(id)).toMatchObject({ status: 'suspended' });
    expect(await owner(id)).toBeUndefined();
  });

  it('a release waits for no other run and for no other store', async () => {
    const [busy, idle] = [await leased(), await leased()];
    const held = await holding(busy);
    const update = store.updateRun(busy, { status: 'completed' });
    await untilBlocked(kind, other);
    await store.releaseRunLock(idle);
    expect(await owner(idle)).toBeUndefined();
    const elsewhere = peer.releaseRunLock(busy);
    await untilBlocked(kind, other, 2);
    await held.commit();
    await Promise.all([update, elsewhere]);
  });

  it('a release does not wait for a hanging call for ever', async () => {
    const impatient = new MikroOrmStateStore(orm, { releaseWaitMs: 20 });
    const id = await leased();
    const held = await holding(id);
    const update = impatient.updateRun(id, { status: 'suspended' });
    const release = impatient.releaseRunLock(id);
    // Both wait for the row now.
    await untilBlocked(kind, other, 2);
    await held.commit();
    await Promise.all([update, release]);
    expect(await owner(id)).toBeUndefined();
  });

  it.each(['completes', 'suspends'])('a run that %s keeps its lease until that is written', async (how) => {
    const id = freshId();
    let held: OpenTransaction | undefined;
    const [engine, poller] = [store, peer].map((each) => new WorkflowEngine({ store: each, leaseMs: LEASE_MS })) as [
      WorkflowEngine,
      WorkflowEngine,
    ];
    engine.register('work', '1', async (ctx) => {
      // From here on no write to the run gets through: neither its end nor its release.
      held = await holding(ctx.runId);
      if (how === 'suspends') await ctx.waitForSignal(`never:${ctx.runId}`);
    });
    await engine.start('work', {}, id);
    await onlyTheUpdateWaits();
    const recovered = poller.recoverIncomplete();
    // PostgreSQL tells from the row as it was that the lease is held; the others wait for the row.
    await (kind.family === 'postgresql' ? recovered : untilBlocked(kind, other, 2));
    await held?.commit();
    expect(await recovered).toEqual([]);
    expect(await engine.waitForRun(id)).toMatchObject({ status: how === 'completes' ? 'completed' : 'suspended' });
    await engine.drain();
    expect(await owner(id)).toBeUndefined();
  });
});
