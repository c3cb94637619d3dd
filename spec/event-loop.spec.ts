import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroOrmStateStore } from '../lib';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aCheckpoint, aRun, freshId } from './support/fixtures';

const STEPS = 50;

/**
 * A driver that answers within the call would keep a long turn in microtasks, and the renewal of its lease, a timer, would
 * never fire.
 */
eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
  });
  afterAll(() => db.drop());

  it('lets the event loop turn between the steps of a long turn', async () => {
    const engine = new WorkflowEngine({ store: await db.store() });
    let turns = 0;
    const seen: number[] = [];
    engine.register('many steps', '1', async (ctx) => {
      for (let n = 0; n < STEPS; n += 1) await ctx.localStep(`step ${n}`, async () => void seen.push(turns));
    });
    let watching = true;
    const watch = () => {
      turns += 1;
      if (watching) setImmediate(watch);
    };
    setImmediate(watch);
    const id = freshId();
    await engine.start('many steps', {}, id);
    await engine.waitForRun(id, { until: 'terminal' });
    watching = false;
    expect(new Set(seen).size).toBe(STEPS);
    await engine.drain();
  });

  const run = aRun({ searchAttributes: { n: 1 } });
  const calls: [name: string, call: (store: MikroOrmStateStore) => Promise<unknown>][] = [
    ['createRun', (store) => store.createRun(run)],
    ['updateRun', (store) => store.updateRun(run.id, { searchAttributes: { n: 2 } })],
    ['tryLockRun', (store) => store.tryLockRun(run.id, 'me', 2, 1)],
    ['saveCheckpoint', (store) => store.saveCheckpoint(aCheckpoint({ runId: run.id }))],
    ['listBufferedEvents', (store) => store.listBufferedEvents('none', 1)],
    ['listPendingRuns', (store) => store.listPendingRuns(1)],
    ['takeBufferedSignal', (store) => store.takeBufferedSignal('none')],
    [
      'transaction',
      (store) => store.transaction(async (tx) => tx.saveCheckpoint(aCheckpoint({ runId: run.id, seq: 1 }))),
    ],
    ['pruneTerminalRuns', (store) => store.pruneTerminalRuns({ statuses: ['dead'], maxCount: 1 }, 1, 1)],
    ['deleteRun', (store) => store.deleteRun('none')],
  ];
  it.each(calls)('lets the event loop turn between calls, shared or not: %s', async (_, call) => {
    for (const store of [await db.store({}, { groupCommit: false }), await db.store()]) {
      await call(store);
      let turned = false;
      setImmediate(() => {
        turned = true;
      });
      for (let n = 0; n < 3; n += 1) await call(store);
      expect(turned).toBe(true);
    }
  });
});
