import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { MikroOrmStateStore } from '../../lib';
import { OpenTransaction } from '../support/concurrency';
import { eachDatabase, KINDS, TestDatabase } from '../support/databases';
import { aRun, freshId } from '../support/fixtures';

/**
 * The engine's `drain` does not wait for the signal a finished run sends its parent. An ORM closed in that moment
 * leaves the call waiting for a connection of a pool that is gone, and the process alive for a minute.
 */
eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    await db.ensureSchema();
  });
  afterAll(() => db.drop());

  it('waits for what drain leaves behind, so that the ORM can be closed', async () => {
    const orm = await db.open();
    const store = new MikroOrmStateStore(orm);
    const engine = new WorkflowEngine({ store });
    engine.register('order', '1', async () => 'done');
    const runIds = Array.from({ length: 10 }, () => freshId());
    for (const runId of runIds) await engine.start('order', {}, runId);
    await Promise.all(runIds.map((runId) => engine.waitForRun(runId, { until: 'terminal' })));
    await engine.drain();
    await store.settled();
    await orm.close(true);
    const later = new MikroOrmStateStore(await db.open());
    for (const runId of runIds) {
      expect(await later.takeBufferedSignal(`child:${runId}`)).toEqual({ payload: { ok: true, value: 'done' } });
    }
  });

  it('counts the calls of a confined view, and those that wait in a group', async () => {
    const store = new MikroOrmStateStore(await db.open());
    const ended: string[] = [];
    for (let n = 0; n < 20; n += 1) void store.getRun(`r-${n}`).then(() => ended.push(`r-${n}`));
    void store
      .withScope({ namespace: 'default' })
      .listPendingRuns(1)
      .then(() => ended.push('scan'));
    await store.settled();
    expect(ended).toHaveLength(21);
  });

  it('waits for calls that follow each other', async () => {
    const store = new MikroOrmStateStore(await db.open());
    let ended = 0;
    const follow = async () => {
      for (; ended < 10; ended += 1) await store.listSignalWaiters(`none-${ended}`);
    };
    void follow();
    await store.settled();
    expect(ended).toBe(10);
  });

  if (kind.family !== 'sqlite') {
    it('gives up on a call that hangs', async () => {
      const run = aRun();
      const store = new MikroOrmStateStore(await db.open());
      await store.createRun(run);
      const blocker = await OpenTransaction.holding(
        await db.open(),
        "update durable_workflow_runs set locked_by = 'x' where id = ?",
        [run.id],
      );
      let ended = false;
      const update = store.updateRun(run.id, { status: 'running' }).then(() => {
        ended = true;
      });
      await store.settled(20);
      expect(ended).toBe(false);
      await blocker.rollback();
      await update;
    });
  }
});
