import { InMemoryTransport, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../lib';
import { eventually } from './support/concurrency';
import { Damage, NO_JSON } from './support/damage';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let orm: MikroORM;
  let store: MikroOrmStateStore;
  let damage: Damage;
  let engine: WorkflowEngine;
  let executed: string[];

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady();
    damage = await Damage.on(db);
  });
  beforeEach(async () => {
    await db.clear(orm);
    store = new MikroOrmStateStore(orm);
    engine = new WorkflowEngine({ store, transport: new InMemoryTransport(), instanceId: 'one', leaseMs: 60_000 });
    executed = [];
    engine.register('order', '1', async (ctx, input: unknown) => {
      const charged = await ctx.localStep('charge', async () => {
        executed.push(ctx.runId);
        return input;
      });
      return ctx.localStep('ship', async () => charged);
    });
  });
  afterEach(async () => {
    await engine.drain(1000);
    await store.settled();
  });
  afterAll(() => db.drop());

  async function poll(): Promise<void> {
    await engine.runPending();
    await engine.recoverIncomplete();
    await engine.resumeDueTimers(Date.now());
    await engine.sweepTimeouts();
  }

  const statusOf = async (id: string) => (await store.listRuns({})).find((run) => run.id === id)?.status;

  it('polls go on beside runs that cannot be read, which are seen, cancelled and deleted', async () => {
    const statuses = ['pending', 'running', 'suspended', 'blocked'] as const;
    for (const status of statuses) await store.createRun(aRun({ id: `bad-${status}`, status, wakeAt: 1 }));
    await damage.put('workflow_runs', 'input', NO_JSON[0] as string, "status <> ''");
    for (const id of ['good-1', 'good-2']) await store.createRun(aRun({ id, input: id }));
    for (let n = 0; n < 3; n += 1) await poll();
    await eventually('the others are completed', async () => (await statusOf('good-2')) === 'completed');
    expect(await statusOf('good-1')).toBe('completed');

    const bad = (await store.listRuns({})).filter(({ error }) => error?.code === 'DURABLE_UNREADABLE_ROW');
    expect(bad.map(({ id }) => id).sort()).toEqual(statuses.map((status) => `bad-${status}`).sort());
    for (const { id, status } of bad) {
      expect(id).toBe(`bad-${status}`);
      await expect(engine.cancel(id)).rejects.toMatchObject({ code: 'DURABLE_UNREADABLE_ROW' });
    }
    // Without what cannot be read the engine has it again.
    await store.updateRun('bad-suspended', { input: undefined });
    expect(await engine.cancel('bad-suspended')).toMatchObject({ status: 'cancelled' });
    expect(await engine.deleteRun('bad-suspended')).toBe(1);
    await store.updateRun('bad-running', { status: 'cancelled', updatedAt: new Date() });
    expect(await statusOf('bad-running')).toBe('cancelled');
    await store.deleteRun('bad-running');
    // A run that was mended is carried on.
    await store.updateRun('bad-pending', { input: 'mended' });
    await poll();
    await eventually('it is completed', async () => (await statusOf('bad-pending')) === 'completed');
    expect((await store.getRun('bad-pending'))?.output).toBe('mended');
    expect(executed).not.toContain('bad-blocked');
  });

  it('a run whose checkpoint cannot be read fails by itself, its step is not executed again, and it can be retried', async () => {
    for (const id of ['bad', 'good'])
      await store.createRun(aRun({ id, input: id, status: id === 'bad' ? 'running' : 'pending' }));
    await store.saveCheckpoint(aCheckpoint({ runId: 'bad', seq: 0, output: 'charged' }));
    await damage.put('step_checkpoints', 'output', NO_JSON[0] as string, "run_id = 'bad'");
    for (let n = 0; n < 3; n += 1) await poll();
    await eventually('it has failed', async () => (await statusOf('bad')) === 'failed');
    await eventually('the other is completed', async () => (await statusOf('good')) === 'completed');
    expect((await store.getRun('bad'))?.error?.message).toContain('durable_step_checkpoints.output');
    expect(executed).toEqual(['good']);

    await damage.put('step_checkpoints', 'output', '"mended"', "run_id = 'bad' and seq = 0");
    await engine.requeue('bad');
    await poll();
    await eventually('it is completed', async () => (await statusOf('bad')) === 'completed');
    expect((await store.getRun('bad'))?.output).toBe('mended');
    expect(executed).toEqual(['good']);
  });
});
