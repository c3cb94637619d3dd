import { CodecStateStore, InMemoryTransport, type WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { eventually } from '../support/concurrency';
import { freshId } from '../support/fixtures';
import { ended, type World } from './world';

export function stepCases(world: () => World): void {
  describe('steps', () => {
    it('runs each local step once and returns its recorded result after a replay', async () => {
      const engine = world().engine();
      const results = [null, false, 0, '', '123', { z: 1, a: [null] }];
      let executed = 0;
      engine.register('record', '1', async (ctx) => {
        const seen: unknown[] = [];
        for (const [n, result] of results.entries()) {
          const step = async () => {
            executed += 1;
            return result;
          };
          seen.push(await ctx.localStep(`step-${n}`, step));
        }
        await ctx.sleep('1h');
        return seen;
      });
      const id = freshId();
      await engine.start('record', null, id);
      expect((await world().settled(engine, id)).status).toBe('suspended');
      world().clock.advance(3_600_000);
      await engine.resumeDueTimers();
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: results });
      expect(executed).toBe(results.length);
      expect((await world().store.getRun(id))?.input).toBeNull();
    });

    it('retries a local step and records the attempt that succeeded', async () => {
      const engine = world().engine();
      let attempts = 0;
      engine.register('flaky', '1', (ctx) =>
        ctx.localStep(
          'unsteady',
          async () => {
            attempts += 1;
            if (attempts < 3) throw new Error('not yet');
            return attempts;
          },
          { retries: 5 },
        ),
      );
      const id = freshId();
      await engine.start('flaky', {}, id);
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 3 });
      expect(await world().store.getCheckpoint(id, 0)).toMatchObject({ status: 'completed', attempts: 3, output: 3 });
    });

    it('dispatches retries with growing delays, none of them inherited from the retry before', async () => {
      const { clock, store } = world();
      const dispatchedAt: number[] = [];
      const beginsAt = clock.nowMs;
      const transport = new InMemoryTransport();
      transport.handle('charge', async () => {
        dispatchedAt.push(clock.nowMs - beginsAt);
        if (dispatchedAt.length < 3) throw new Error('declined');
        return 'paid';
      });
      const engine = world().engine({ transport });
      engine.register('pay', '1', (ctx) =>
        ctx.step('charge', { cents: 5 }, { retries: 3, backoff: 'exp', backoffMs: 60_000 }),
      );
      const id = freshId();
      const suspendedUntil = (seconds: number) =>
        eventually(`the run sleeps until second ${seconds}`, async () => {
          const run = await store.getRun(id);
          return run?.status === 'suspended' && run.wakeAt === beginsAt + seconds * 1000 && !run.lockedBy;
        });
      await engine.start('pay', {}, id);
      await suspendedUntil(60);
      for (const awake of [60, 120, 180]) {
        clock.nowMs = beginsAt + awake * 1000;
        await engine.resumeDueTimers();
        if (awake < 180) await suspendedUntil(180);
      }
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 'paid' });
      expect(dispatchedAt).toEqual([0, 60_000, 180_000]);
      expect((await store.getCheckpoint(id, 0))?.wakeAt).toBeUndefined();
    });

    it('sleeps until its timer is due, and another process wakes it', async () => {
      const [engine, peer] = [world().engine(), world().peer()];
      for (const each of [engine, peer]) {
        each.register('nap', '1', async (ctx) => {
          await ctx.sleep('2h');
          return 'rested';
        });
      }
      const id = freshId();
      await engine.start('nap', {}, id);
      await world().settled(engine, id);
      world().clock.advance(7_199_999);
      expect(await peer.resumeDueTimers()).toEqual([]);
      world().clock.advance(1);
      expect(await peer.resumeDueTimers()).toMatchObject([{ runId: id, status: 'completed', output: 'rested' }]);
    });
  });

  describe('a plain Node service', () => {
    const tick = async (engine: WorkflowEngine) => {
      await engine.runPending();
      await engine.recoverIncomplete();
      await engine.resumeDueTimers();
      await engine.sweepTimeouts();
    };

    it('drives what another process enqueued with four calls per tick', async () => {
      await world().store.ensureSchema();
      const web = world().engine({ runDispatcher: { dispatch: async () => undefined } });
      const worker = world().peer({ instanceId: 'svc-1' });
      for (const engine of [web, worker]) {
        engine.register('order', '1', async (ctx, input) => {
          const price = await ctx.localStep('price', async () => (input as { n: number }).n * 2);
          const approved = await ctx.waitForSignal<boolean>(`approve:${ctx.runId}`);
          await ctx.sleep('1m');
          return { price, approved };
        });
      }
      const id = freshId('order');
      expect(await web.start('order', { n: 21 }, id)).toEqual({ runId: id, status: 'pending' });
      expect(await web.start('order', { n: 99 }, id)).toMatchObject({ runId: id, status: 'pending' });
      await tick(worker);
      expect((await web.getRun(id))?.status).toBe('suspended');
      await web.signal(`approve:${id}`, true);
      await tick(worker);
      world().clock.advance(60_000);
      await tick(worker);
      expect(await ended(web, id)).toMatchObject({ status: 'completed', output: { price: 42, approved: true } });
      await worker.drain();
    });

    it('keeps payloads encoded when a codec wraps the store', async () => {
      const { store, clock } = world();
      const codec = {
        encode: (value: unknown) => `sealed:${Buffer.from(JSON.stringify(value)).toString('base64')}`,
        decode: (value: unknown) => JSON.parse(Buffer.from(String(value).slice(7), 'base64').toString()),
      };
      const engine = world().engine({ store: new CodecStateStore(store, codec) });
      engine.register('secret', '1', async (ctx, input) => {
        const step = await ctx.localStep('open', async () => ({ of: input }));
        const signal = await ctx.waitForSignal<string>('key');
        const tx = await ctx.transaction('tx', async () => 'sealed in a transaction');
        await ctx.sleep(1);
        return { step, signal, tx };
      });
      const id = freshId();
      await engine.signal('key', 'early');
      await engine.start('secret', { card: '4111' }, id);
      await world().settled(engine, id);
      clock.advance(1);
      await engine.resumeDueTimers();
      expect((await ended(engine, id)).output).toEqual({
        step: { of: { card: '4111' } },
        signal: 'early',
        tx: 'sealed in a transaction',
      });
      const stored = [await store.getRun(id), await store.listCheckpoints(id)];
      expect(JSON.stringify(stored)).not.toMatch(/4111|early"|in a transaction/);
      expect((await store.getRun(id))?.input).toBe(codec.encode({ card: '4111' }));
    });
  });
}
