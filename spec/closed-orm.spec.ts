import { setImmediate as macrotask } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import { DurableClosedError, MikroOrmStateStore } from '../lib';
import { failureOf, noUnhandledRejections } from './hostile/marked';
import { eventually, OpenTransaction, untilBlocked, watch } from './support/concurrency';
import { eachDatabase, KINDS, portOf, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';
import { TcpProxy } from './torture/proxy';

noUnhandledRejections();

const CALLS: [string, (store: MikroOrmStateStore) => Promise<unknown>][] = [
  ['getRun', (store) => store.getRun('r')],
  ['createRun', (store) => store.createRun(aRun())],
  ['updateRun', (store) => store.updateRun('r', { searchAttributes: { n: 1 } })],
  ['saveCheckpoint', (store) => store.saveCheckpoint(aCheckpoint())],
  ['bufferSignal', (store) => store.bufferSignal('t', 1)],
  ['tryLockRun', (store) => store.tryLockRun('r', 'me', 2, 1)],
  ['listRuns', (store) => store.listRuns({})],
  ['transaction', (store) => store.transaction((tx) => tx.saveCheckpoint(aCheckpoint()))],
];

const LOCK_OF_A_RUN = "update durable_workflow_runs set origin = 'held' where id = ?";

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let orm: MikroORM;
  let store: MikroOrmStateStore;
  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    await db.ensureSchema();
    orm = await db.open();
    store = new MikroOrmStateStore(orm);
    await store.getRun('r');
    await orm.close(true);
  });
  afterAll(() => db.drop());

  it.each(CALLS)('%s fails at once, and says that the ORM is closed', async (operation, call) => {
    const failure = await failureOf(call(store));
    expect(failure).toBeInstanceOf(DurableClosedError);
    expect(failure).toMatchObject({ code: 'DURABLE_ORM_CLOSED', operation });
  });

  it.each([
    ['listPendingRuns', (polls) => polls.listPendingRuns(100)],
    ['listIncompleteRuns', (polls) => polls.listIncompleteRuns()],
    ['listDueTimers', (polls) => polls.listDueTimers(1)],
    ['listRuns', (polls) => polls.listRuns({ statuses: ['blocked'] })],
  ] as [string, (polls: MikroOrmStateStore) => Promise<unknown>][])(
    'a poll by %s finds nothing',
    async (_name, poll) => {
      expect(await poll(store)).toEqual([]);
    },
  );

  it('a call that waits for a connection while the ORM closes ends, and so does the close', async () => {
    const closing = await db.open({ pool: { min: 0, max: 1 } });
    const before = new MikroOrmStateStore(closing);
    await before.getRun('r');
    const holder = await OpenTransaction.begin(closing);
    const outside = Promise.allSettled([before.getRun('r'), before.bufferSignal('t', 1)]);
    const open = { still: true };
    const closed = closing.close(true).finally(() => {
      open.still = false;
    });
    await holder.rollback();
    const late: Promise<unknown>[] = [];
    for (; open.still; await macrotask()) late.push(failureOf(before.runFacets()));
    const ended = watch(Promise.all([closed, outside, ...late]));
    await eventually('all calls have ended', async () => ended.settled);
    for (const failure of await Promise.all(late)) expect(failure).toBeInstanceOf(DurableClosedError);
  });

  it('calls that are under way when the ORM closes end, and what they said is so', async () => {
    const closing = await db.open({ pool: { min: 0, max: 2 } });
    const before = new MikroOrmStateStore(closing);
    const runs = Array.from({ length: 8 }, () => aRun());
    await Promise.all(runs.map((run) => before.createRun(run)));
    const holder =
      kind.family === 'sqlite'
        ? undefined
        : await OpenTransaction.holding(await db.open(), LOCK_OF_A_RUN, [runs[0]?.id]);
    const writes = runs.flatMap(({ id }) => [
      { call: before.updateRun(id, { output: 'written' }), isKept: async () => (await after.getRun(id))?.output },
      {
        call: before.updateRun(id, { searchAttributes: { n: 1 } }),
        isKept: async () => (await after.getRun(id))?.searchAttributes,
      },
      { call: before.saveCheckpoint(aCheckpoint({ runId: id })), isKept: () => after.getCheckpoint(id, 0) },
      {
        call: before.transaction((tx) => tx.saveCheckpoint(aCheckpoint({ runId: id, seq: 1 }))),
        isKept: () => after.getCheckpoint(id, 1),
      },
    ]);
    const ends = Promise.allSettled(writes.map(({ call }) => call));
    if (holder) await untilBlocked(kind, closing);
    const closed = closing.close(true);
    await holder?.rollback();
    const ended = watch(Promise.all([ends, closed]));
    await eventually('all calls have ended, and the close', async () => ended.settled);
    const after = new MikroOrmStateStore(await db.open());
    for (const [position, end] of (await ends).entries()) {
      if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(DurableClosedError);
      else expect(await writes[position]?.isKept()).toBeTruthy();
    }
  });

  if (kind.family !== 'sqlite') {
    it('a call that tries again and again for a server that is away ends with the close', async () => {
      const proxy = new TcpProxy(() => portOf(db));
      const closing = await db.open({ port: await proxy.open() });
      await new MikroOrmStateStore(closing).getRun('r');
      proxy.refuse();
      proxy.cut();
      const trying = failureOf(new MikroOrmStateStore(closing, { retry: { forMs: 86_400_000 } }).getRun('r'));
      await failureOf(new MikroOrmStateStore(closing, { retry: { attempts: 3 } }).getRun('r'));
      await closing.close(true);
      expect(await trying).toBeInstanceOf(DurableClosedError);
      await proxy.close();
    });
  }
});
