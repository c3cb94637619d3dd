import { freshId } from '../support/fixtures';
import { ended, type World } from './world';

export function signalCases(world: () => World): void {
  describe('signals', () => {
    /** An engine whose `gate` workflow waits for one signal and tells what it got, also after a replay. */
    function gated() {
      const engine = world().engine();
      engine.register('gate', '1', async (ctx, input) => {
        const { token, timeoutMs } = input as { token: string; timeoutMs?: number };
        const payload = await ctx.waitForSignal(token, timeoutMs === undefined ? undefined : { timeoutMs });
        await ctx.sleep(1000);
        return { got: payload === undefined ? 'undefined' : payload };
      });
      const wake = async () => {
        world().clock.advance(1000);
        await engine.resumeDueTimers();
      };
      return { engine, wake };
    }

    const payloads: [name: string, payload: unknown, got: unknown][] = [
      ['an object', { b: 1, a: 2 }, { b: 1, a: 2 }],
      ['null', null, null],
      ['no payload', undefined, 'undefined'],
      ['false', false, false],
    ];
    it.each(payloads)('delivers %s that comes after the wait began', async (_name, payload, got) => {
      const { engine, wake } = gated();
      const [id, token] = [freshId(), freshId('token')];
      await engine.start('gate', { token }, id);
      expect((await world().settled(engine, id)).status).toBe('suspended');
      expect(await engine.signal(token, payload)).toMatchObject({ runId: id, status: 'suspended' });
      await wake();
      expect((await ended(engine, id)).output).toEqual({ got });
    });

    it.each(payloads)('delivers %s that was there before the wait', async (_name, payload, got) => {
      const { engine, wake } = gated();
      const [id, token] = [freshId(), freshId('token')];
      expect(await engine.signal(token, payload)).toBeNull();
      await engine.start('gate', { token }, id);
      await world().settled(engine, id);
      await wake();
      expect((await ended(engine, id)).output).toEqual({ got });
      expect(await world().store.takeBufferedSignal(token)).toBeNull();
    });

    it('hands buffered signals out in the order they came, each to one wait', async () => {
      const engine = world().engine();
      const token = freshId('token');
      engine.register('collect', '1', async (ctx) => [
        await ctx.waitForSignal(token),
        await ctx.waitForSignal(token),
        await ctx.waitForSignal(token),
      ]);
      for (const n of [1, 2, 3]) await engine.signal(token, n);
      const id = freshId();
      await engine.start('collect', {}, id);
      expect((await ended(engine, id)).output).toEqual([1, 2, 3]);
    });

    it('tells tokens apart that differ in case, accents, wildcards or trailing spaces', async () => {
      const { engine } = gated();
      const token = freshId('Approve_%é');
      const others = [token.toLowerCase(), token.replace('é', 'e'), token.replace('_', 'X'), `${token} `];
      for (const other of others) await engine.signal(other, other);
      const id = freshId();
      await engine.start('gate', { token }, id);
      expect((await world().settled(engine, id)).status).toBe('suspended');
      for (const other of others) expect(await world().store.takeBufferedSignal(other)).toEqual({ payload: other });
      expect(await engine.signal(token, 1)).toMatchObject({ runId: id });
    });

    it('gives up a wait at its deadline and leaves no waiter behind', async () => {
      const { engine, wake } = gated();
      const [id, token] = [freshId(), freshId('token')];
      await engine.start('gate', { token, timeoutMs: 1000 }, id);
      await world().settled(engine, id);
      await wake();
      expect(await ended(engine, id)).toMatchObject({ status: 'failed' });
      expect(await world().store.listSignalWaiters(token)).toEqual([]);
    });

    it('delivers a signal sent in another process', async () => {
      const { engine } = gated();
      const peer = world().peer();
      peer.register('gate', '1', async (ctx, input) => ctx.waitForSignal((input as { token: string }).token));
      const [id, token] = [freshId(), freshId('token')];
      await engine.start('gate', { token }, id);
      await world().settled(engine, id);
      expect(await peer.signal(token, 'hello')).toMatchObject({ runId: id, status: 'completed', output: 'hello' });
    });
  });

  describe('webhooks and updates', () => {
    it('resumes a run with the body that its webhook received', async () => {
      const engine = world().engine({ webhookUrl: (token) => `https://hooks.example/${encodeURIComponent(token)}` });
      engine.register('callback', '1', async (ctx) => {
        const hook = ctx.webhook();
        await ctx.setEvent('url', hook.url);
        return hook.wait();
      });
      const id = freshId();
      await engine.start('callback', {}, id);
      await world().settled(engine, id);
      const url = await engine.getEvent<string>(id, 'url');
      expect(url).toBe(`https://hooks.example/${encodeURIComponent(`wh:${id}:0`)}`);
      await engine.signal(decodeURIComponent(String(url).split('/').at(-1) ?? ''), { ok: 'yes' });
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: { ok: 'yes' } });
    });

    it('delivers an update its validator accepts and no other', async () => {
      const engine = world().engine();
      engine.register('cart', '1', (ctx) => ctx.onUpdate('quantity'));
      engine.registerUpdateValidator<number>('cart', 'quantity', (n) => (n > 0 ? undefined : 'must be positive'));
      const id = freshId();
      await engine.start('cart', {}, id);
      await world().settled(engine, id);
      expect(await engine.update(id, 'quantity', 0)).toEqual({ accepted: false, reason: 'must be positive' });
      expect(await engine.update(id, 'quantity', 3)).toMatchObject({ accepted: true, run: { runId: id } });
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 3 });
    });
  });
}
