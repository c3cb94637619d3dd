import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { Gate } from '../support/concurrency';
import { freshId } from '../support/fixtures';
import { intercept } from '../support/intercept';
import { ended, type World } from './world';

/** Longer than any test: the process that "dies" never renews its lease. */
const LEASE_MS = 86_400_000;

export function recoveryCases(world: () => World): void {
  describe('a process that dies in the middle of a step', () => {
    /** Both processes know the workflow; the first never comes back from its second step. */
    function processes(options: { maxRecoveryAttempts?: number } = {}) {
      const executed: string[] = [];
      const dying = world().engine({ instanceId: 'dying', leaseMs: LEASE_MS });
      const heir = world().peer({ instanceId: 'heir', leaseMs: LEASE_MS, ...options });
      let dead: () => void = () => undefined;
      const died = new Promise<void>((resolve) => {
        dead = resolve;
      });
      const register = (engine: WorkflowEngine, who: string, charge: () => Promise<string>) =>
        engine.register('order', '1', async (ctx) => {
          const reserved = await ctx.localStep('reserve', async () => {
            executed.push(`${who} reserves`);
            return 'seat 7';
          });
          return [reserved, await ctx.localStep('charge', charge)];
        });
      register(dying, 'dying', () => {
        dead();
        return new Promise(() => undefined);
      });
      register(heir, 'heir', async () => {
        executed.push('heir charges');
        return 'paid';
      });
      return { dying, heir, died, executed };
    }

    it('keeps its lease until it expires; then another finishes the run without repeating the completed step', async () => {
      const { dying, heir, died, executed } = processes();
      const id = freshId();
      await dying.start('order', {}, id);
      await died;
      world().clock.advance(LEASE_MS - 1);
      expect(await heir.recoverIncomplete()).toEqual([]);
      expect(await world().store.getRun(id)).toMatchObject({ status: 'running', lockedBy: 'dying' });
      world().clock.advance(1);
      expect(await heir.recoverIncomplete()).toMatchObject([{ runId: id }]);
      expect(await ended(heir, id)).toMatchObject({ status: 'completed', output: ['seat 7', 'paid'] });
      expect(executed).toEqual(['dying reserves', 'heir charges']);
      await world().quiet();
      const run = await world().store.getRun(id);
      expect(run).toMatchObject({ recoveryAttempts: 1 });
      expect([run?.lockedBy, run?.lockedUntil]).toEqual([undefined, undefined]);
    });

    it('leaves a run for the dead letters once it was recovered too often', async () => {
      const { dying, heir, died, executed } = processes({ maxRecoveryAttempts: 2 });
      const dead: string[] = [];
      heir.onDead((run) => dead.push(run.id));
      const id = freshId();
      await dying.start('order', { n: 1 }, id);
      await died;
      await world().store.updateRun(id, { recoveryAttempts: 2 });
      world().clock.advance(LEASE_MS);
      expect(await heir.recoverIncomplete()).toMatchObject([{ runId: id, status: 'dead' }]);
      expect(await world().store.getRun(id)).toMatchObject({
        status: 'dead',
        error: { code: 'max_recovery_attempts' },
      });
      expect(await heir.recoverIncomplete()).toEqual([]);
      expect([dead, executed]).toEqual([[id], ['dying reserves']]);
    });
  });

  describe('a run that has failed', () => {
    it('goes on from its failed step when it is queued again', async () => {
      const engine = world().engine();
      const executed: string[] = [];
      let broken = true;
      engine.register('job', '1', async (ctx) => {
        await ctx.localStep('first', async () => {
          executed.push('first');
        });
        return ctx.localStep('second', async () => {
          executed.push('second');
          if (broken) throw new Error('no disk');
          return 'done';
        });
      });
      const id = freshId();
      await engine.start('job', {}, id);
      expect(await ended(engine, id)).toMatchObject({ status: 'failed', error: { message: 'no disk' } });
      await world().quiet();
      broken = false;
      expect(await engine.requeue(id)).toMatchObject({ status: 'pending' });
      await world().quiet();
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 'done' });
      expect(executed).toEqual(['first', 'second', 'second']);
      const run = await world().store.getRun(id);
      expect([run?.error, run?.recoveryAttempts]).toEqual([undefined, 0]);
      expect((await world().store.getCheckpoint(id, 1))?.error).toBeUndefined();
    });

    it('runs again beside the original when it is retried with another input', async () => {
      const engine = world().engine();
      engine.register('job', '1', async (_ctx, input) => {
        if (input === null) throw new Error('no input');
        return input;
      });
      const id = freshId();
      await engine.start('job', null, id, { tags: ['vip'] });
      await ended(engine, id);
      const retried = await engine.retryWithInput(id, { n: 1 });
      expect(await ended(engine, String(retried?.runId))).toMatchObject({ status: 'completed', output: { n: 1 } });
      expect(await engine.getRun(String(retried?.runId))).toMatchObject({ tags: ['vip'] });
      expect(await engine.getRun(id)).toMatchObject({ status: 'failed', input: null });
    });
  });

  describe('a run that two processes start', () => {
    function starters(late: (create: () => Promise<void>) => Promise<void>) {
      const executed: string[] = [];
      const engines = [world().engine(), world().peer({ store: intercept(world().store, 'createRun', late) })] as const;
      for (const engine of engines) {
        engine.register('once', '1', (ctx) => ctx.localStep('work', async () => executed.push(ctx.runId)));
      }
      return { engines, executed };
    }

    it('at once is one run, executed once', async () => {
      const { engines, executed } = starters((create) => create());
      const ids = Array.from({ length: 10 }, () => freshId());
      await Promise.all(ids.flatMap((id) => engines.map((engine) => engine.start('once', { id }, id))));
      for (const id of ids) expect(await ended(engines[0], id)).toMatchObject({ status: 'completed' });
      await world().quiet();
      expect([...executed].sort()).toEqual([...ids].sort());
    });

    it('is left as it is when the second comes late', async () => {
      const over = new Gate();
      const looked = new Gate();
      const { engines, executed } = starters(async (create) => {
        looked.open();
        await over.passed;
        await create();
      });
      const id = freshId();
      const second = engines[1].start('once', 'second', id);
      await looked.passed;
      await engines[0].start('once', 'first', id);
      await ended(engines[0], id);
      over.open();
      await second;
      await world().quiet();
      expect(await world().store.getRun(id)).toMatchObject({ status: 'completed', input: 'first', output: 1 });
      expect(executed).toEqual([id]);
    });
  });

  it('a run that continues as new begins again with another id and no history', async () => {
    const engine = world().engine();
    engine.register('loop', '1', async (ctx, input) => {
      const n = Number(input);
      await ctx.localStep('work', async () => n);
      return n < 3 ? ctx.continueAsNew(n + 1) : `ended at ${n}`;
    });
    const id = freshId();
    await engine.start('loop', 1, id);
    await ended(engine, id);
    await world().quiet();
    expect(await ended(engine, `${id}~2`)).toMatchObject({ status: 'completed', output: 'ended at 3' });
    expect(await world().store.listCheckpoints(`${id}~2`)).toMatchObject([{ name: 'work', output: 3 }]);
    expect(await engine.getRun(id)).toMatchObject({ status: 'completed' });
  });

  it('a cancelled run is not run again by a late timer or signal', async () => {
    const engine = world().engine();
    let finished = 0;
    engine.register('wait', '1', async (ctx) => {
      await ctx.waitForSignal(`go:${ctx.runId}`, { timeoutMs: 1000 });
      finished += 1;
    });
    const id = freshId();
    await engine.start('wait', {}, id);
    await engine.waitForRun(id);
    await world().quiet();
    expect(await engine.cancel(id)).toMatchObject({ status: 'cancelled' });
    world().clock.advance(1000);
    expect(await engine.resumeDueTimers()).toEqual([]);
    expect(await engine.signal(`go:${id}`, 1)).toMatchObject({ status: 'cancelled' });
    expect(await engine.runOne(id)).toBeNull();
    expect([finished, (await engine.getRun(id))?.status]).toEqual([0, 'cancelled']);
  });
}
