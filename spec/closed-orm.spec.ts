import { setImmediate as macrotask } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import { DurableClosedError, MikroOrmStateStore } from '../lib';
import { failureOf, noUnhandledRejections } from './hostile/marked';
import { eventually, OpenTransaction, watch } from './support/concurrency';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';

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
});
