import { InMemoryTransport, type WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { RunStatus, WorkflowRun } from '../../lib';
import { TERMINAL_STATUSES } from '../../lib/types';
import { eventually } from '../support/concurrency';
import { freshId } from '../support/fixtures';
import { ended, type World } from './world';

/** How long the engine lets a run sleep before it looks again, by default. */
const RECONCILE_MS = 300_000;

/** A run and what its person does with it. */
interface Reopened {
  readonly engine: WorkflowEngine;
  readonly id: string;
  /** What the workflow does from now on. */
  mend(): void;
}

/** What the engine opens again on purpose: each of these places writes over an end, or over a completed step. */
export function reopeningCases(world: () => World): void {
  /** A run of two steps, the second of which fails until it is mended, after a signal it waits for. */
  async function brokenRun(): Promise<Reopened & { executed: string[] }> {
    const engine = world().engine({ maxRecoveryAttempts: 1 });
    const executed: string[] = [];
    let broken = true;
    engine.register('job', '1', async (ctx) => {
      await ctx.localStep('first', async () => void executed.push('first'));
      await ctx.localStep('second', async () => {
        executed.push('second');
        if (broken) throw new Error('no disk');
      });
      return ctx.waitForSignal(`go:${ctx.runId}`);
    });
    const id = freshId();
    await engine.start('job', {}, id);
    await world().settled(engine, id);
    const mend = () => {
      broken = false;
    };
    return { engine, id, mend, executed };
  }

  async function goesOn({ engine, id }: Reopened): Promise<void> {
    await world().quiet();
    expect(await world().store.getRun(id)).toMatchObject({ status: 'suspended' });
    await engine.signal(`go:${id}`, 'went on');
    await world().quiet();
    expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 'went on' });
  }

  /** The run when it has ended. The engine misses a child that ends while the turn that will suspend holds the lease. */
  async function awake(engine: WorkflowEngine, id: string): Promise<WorkflowRun> {
    return eventually('the parent has ended', async () => {
      await world().quiet();
      const run = await world().store.getRun(id);
      if (run && TERMINAL_STATUSES.includes(run.status)) return run;
      world().clock.advance(RECONCILE_MS);
      await engine.resumeDueTimers();
      return null;
    });
  }

  describe('a run that has ended and is opened again', () => {
    it.each(['failed', 'dead', 'cancelled'] as RunStatus[])('goes on to its end: requeued when %s', async (status) => {
      const run = await brokenRun();
      if (status !== 'failed') await world().store.updateRun(run.id, { status: 'cancelled' });
      if (status === 'dead') {
        await world().store.updateRun(run.id, { status: 'pending', error: undefined });
        await world().store.updateRun(run.id, { status: 'dead', error: { message: 'gave up' } });
      }
      run.mend();
      expect(await run.engine.requeue(run.id)).toMatchObject({ status: 'pending' });
      await goesOn(run);
      expect(run.executed).toEqual(['first', 'second', 'second']);
      expect((await world().store.getRun(run.id))?.error).toBeUndefined();
    });

    it('goes on to its end: requeued while the lease of a crashed process is still on it', async () => {
      const run = await brokenRun();
      const lease = [world().clock.nowMs + 60_000, world().clock.nowMs] as const;
      // Another process has the failed run resumed, and crashes.
      await world().peerStore.getRun(run.id);
      expect(await world().peerStore.tryLockRun(run.id, 'crashed', ...lease)).toBe(true);
      run.mend();
      await run.engine.requeue(run.id);
      await goesOn(run);
    });

    it('goes on to its end: resumed when failed, without being queued', async () => {
      const run = await brokenRun();
      run.mend();
      await run.engine.resume(run.id);
      await goesOn(run);
    });

    it('goes on to its end: retried with another input, beside the original', async () => {
      const run = await brokenRun();
      run.mend();
      const retried = await run.engine.retryWithInput(run.id, { other: true });
      await goesOn({ ...run, id: (retried as { runId: string }).runId });
      expect(await world().store.getRun(run.id)).toMatchObject({ status: 'failed' });
    });
  });

  it.each([
    ['child', (ctx: { child(workflow: string, input: unknown): Promise<unknown> }) => ctx.child('leaf', 1)],
    ['all', (ctx: { all(workflow: string, inputs: unknown[]): Promise<unknown> }) => ctx.all('leaf', [1, 2])],
  ])('a parent that failed with its child goes on with both: ctx.%s', async (_what, join) => {
    const engine = world().engine();
    let broken = true;
    engine.register('leaf', '1', async (ctx, n) =>
      ctx.localStep('work', async () => {
        if (broken) throw new Error('no luck');
        return n;
      }),
    );
    engine.register('parent', '1', (ctx) => join(ctx as never));
    const id = freshId();
    await engine.start('parent', {}, id);
    expect(await awake(engine, id)).toMatchObject({ status: 'failed' });
    broken = false;
    await engine.requeue(id);
    const run = await awake(engine, id);
    expect(run).toMatchObject({ status: 'completed' });
  });

  it('a remote step that failed for good is dispatched again', async () => {
    const transport = new InMemoryTransport();
    const engine = world().engine({ transport });
    let calls = 0;
    transport.handle('charge', async () => {
      calls += 1;
      if (calls === 1) throw new Error('no gateway');
      return 'charged';
    });
    engine.register('order', '1', (ctx) => ctx.step('charge', {}));
    const id = freshId();
    await engine.start('order', {}, id);
    await engine.waitForRun(id, { until: 'terminal', timeoutMs: 20_000 });
    await world().quiet();
    expect(await world().store.getRun(id)).toMatchObject({ status: 'failed' });
    await engine.requeue(id);
    world().clock.advance(1);
    await engine.waitForRun(id, { until: 'terminal', timeoutMs: 20_000 });
    await world().quiet();
    expect(await world().store.getRun(id)).toMatchObject({ status: 'completed', output: 'charged' });
    expect(calls).toBe(2);
  });
}
