import { sql } from '../support/databases';
import { freshId } from '../support/fixtures';
import { ended, type World } from './world';

export function queryCases(world: () => World): void {
  describe('search attributes', () => {
    it('find runs by what they were started with and by what they set since', async () => {
      const { store } = world();
      const engine = world().engine();
      engine.register('sale', '1', async (ctx, input) => {
        await ctx.localStep('think', async () => 1);
        await ctx.upsertSearchAttributes({ amount: 200.1, tier: `pro "${String(input)}"`, paid: true });
      });
      const [id, other] = [freshId('a'), freshId('b')];
      for (const each of [id, other]) {
        await engine.start('sale', each, each, { searchAttributes: { amount: 0.1, region: 'eu' } });
        await ended(engine, each);
      }
      const find = async (key: string, op: 'eq' | 'gt', value: string | number | boolean) => {
        const runs = await store.listRuns({ workflow: 'sale', attributes: [{ key, op, value }] });
        return runs.map((run) => run.id).sort();
      };
      expect(await find('tier', 'eq', `pro "${id}"`)).toEqual([id]);
      expect(await find('amount', 'eq', 200.1)).toEqual([id, other]);
      expect(await find('amount', 'gt', 200.1)).toEqual([]);
      expect(await find('amount', 'eq', 0.1)).toEqual([]);
      expect(await find('region', 'eq', 'eu')).toEqual([id, other]);
      expect(await find('paid', 'eq', true)).toEqual([id, other]);
      expect((await store.getRun(id))?.searchAttributes).toEqual({
        amount: 200.1,
        region: 'eu',
        tier: `pro "${id}"`,
        paid: true,
      });
    });

    it('select the runs that are cancelled together', async () => {
      const engine = world().engine();
      engine.register('wait', '1', (ctx) => ctx.waitForSignal(ctx.runId));
      const [free, paid] = [freshId(), freshId()];
      await engine.start('wait', {}, free, { searchAttributes: { tier: 'free' } });
      await engine.start('wait', {}, paid, { searchAttributes: { tier: 'paid' } });
      for (const id of [free, paid]) await world().settled(engine, id);
      const filter = { workflow: 'wait', attributes: [{ key: 'tier', op: 'eq' as const, value: 'free' }] };
      expect(await engine.cancelWhere(filter)).toMatchObject([{ runId: free, status: 'cancelled' }]);
      expect((await engine.getRun(paid))?.status).toBe('suspended');
    });
  });

  describe('singleton keys', () => {
    it.each(['say "hi"', 'user_1', '100%', "o'neil", 'back\\slash', 'Größe'])(
      '%s admits one run at a time',
      async (key) => {
        const engine = world().engine();
        engine.register('single', '1', (ctx) => ctx.waitForSignal(`go:${ctx.runId}`), {
          singleton: { key: (input) => String(input), maxQueueDepth: 1 },
        });
        const [first, second, stranger] = [freshId('1'), freshId('2'), freshId('3')];
        const lookalike = key.replace(/[_%"'\\ö]/, 'X').toUpperCase();
        for (const [id, input] of [
          [first, key],
          [second, key],
          [stranger, lookalike],
        ] as const) {
          await engine.start('single', input, id);
          await world().settled(engine, id);
        }
        const waiting = async () => (await world().store.listSignalWaiters('go:')).map(({ runId }) => runId);
        expect(await waiting()).toEqual([first, stranger]);
        await expect(engine.start('single', key, freshId('4'))).rejects.toThrow();
        await engine.signal(`go:${first}`, 1);
        expect((await ended(engine, first)).status).toBe('completed');
        await world().quiet();
        expect(await waiting()).toEqual([second, stranger]);
      },
    );
  });

  it('retention prunes the oldest finished runs with everything they left, and nothing else', async () => {
    const { store, orm } = world();
    const engine = world().engine();
    engine.register('short', '1', async (ctx) => {
      await ctx.localStep('work', async () => 1);
      await ctx.upsertSearchAttributes({ n: 1 });
    });
    engine.register('wait', '1', (ctx) => ctx.waitForSignal(ctx.runId));
    const ids = [freshId(), freshId(), freshId(), freshId()];
    for (const [n, id] of ids.entries()) {
      await engine.start('short', {}, id);
      await ended(engine, id);
      await world().quiet();
      await store.updateRun(id, { updatedAt: new Date(1_000_000 + n) });
    }
    const alive = freshId();
    await engine.start('wait', {}, alive);
    await world().settled(engine, alive);
    const policy = { statuses: ['completed', 'suspended'] as const, maxCount: 1, maxAge: '1m' };
    const prune = (limit: number) =>
      store.pruneTerminalRuns({ ...policy, statuses: [...policy.statuses] }, 1_000_004, limit);
    expect(await prune(2)).toBe(2);
    expect(await Promise.all(ids.map(async (id) => (await store.getRun(id)) !== null))).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect([await prune(2), await prune(2)]).toEqual([1, 0]);
    expect((await store.listRuns({})).map(({ id }) => id).sort()).toEqual([alive, ids[3]].sort());
    for (const table of ['durable_step_checkpoints', 'durable_run_attributes']) {
      const rows = await sql(orm).execute(`select distinct run_id from ${table}`);
      expect(rows).toEqual([{ run_id: ids[3] }]);
    }
    expect(await store.takeBufferedSignal(`child:${ids[0]}`)).toBeNull();
    expect(await store.takeBufferedSignal(`child:${ids[3]}`)).not.toBeNull();
  });
}
