import type { EntityManager } from '@mikro-orm/core';
import { sql } from '../support/databases';
import { freshId } from '../support/fixtures';
import { HostOrderEntity } from '../support/host';
import { ended, type World } from './world';

export function transactionCases(world: () => World): void {
  const orders = async (id: string) => {
    const rows = await sql(world().orm).execute<{ total: unknown }[]>('select total from host_orders where id = ?', [
      id,
    ]);
    return rows.map(({ total }) => Number(total));
  };

  describe('a step in a transaction', () => {
    it('commits the business write together with its checkpoint, once', async () => {
      const engine = world().engine();
      engine.register('book', '1', async (ctx) => {
        const total = await ctx.transaction('book', async (tx) => {
          const em = tx as EntityManager;
          em.persist(em.create(HostOrderEntity, { id: ctx.runId, total: 7 }));
          return 7;
        });
        await ctx.sleep(1000);
        return total;
      });
      const id = freshId();
      await engine.start('book', {}, id);
      await world().settled(engine, id);
      expect(await orders(id)).toEqual([7]);
      expect(await world().store.getCheckpoint(id, 0)).toMatchObject({ name: 'book', status: 'completed', output: 7 });
      world().clock.advance(1000);
      await engine.resumeDueTimers();
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 7 });
      expect(await orders(id)).toEqual([7]);
    });

    it('leaves neither write nor checkpoint when it throws', async () => {
      const engine = world().engine();
      engine.register('book', '1', (ctx) =>
        ctx.transaction('book', async (tx) => {
          await (tx as EntityManager & { execute(sql: string, params: unknown[]): Promise<unknown> }).execute(
            'insert into host_orders (id, total) values (?, 1)',
            [ctx.runId],
          );
          throw new Error('changed my mind');
        }),
      );
      const id = freshId();
      await engine.start('book', {}, id);
      expect(await ended(engine, id)).toMatchObject({ status: 'failed', error: { message: 'changed my mind' } });
      expect(await orders(id)).toEqual([]);
      expect(await world().store.getCheckpoint(id, 0)).toBeNull();
    });

    it('leaves no checkpoint when the business write fails at the very end', async () => {
      const engine = world().engine();
      engine.register('book', '1', (ctx) =>
        ctx.transaction('book', async (tx) => {
          const em = tx as EntityManager;
          // Written only when the transaction is about to commit, after the checkpoint.
          em.persist(em.create(HostOrderEntity, { id: ctx.runId, total: 2 }));
        }),
      );
      const id = freshId();
      await sql(world().orm).execute('insert into host_orders (id, total) values (?, 1)', [id]);
      await engine.start('book', {}, id);
      expect(await ended(engine, id)).toMatchObject({ status: 'failed' });
      expect(await orders(id)).toEqual([1]);
      expect(await world().store.getCheckpoint(id, 0)).toBeNull();
    });

    it('undoes the business write when the checkpoint cannot be saved', async () => {
      const engine = world().engine();
      engine.register('book', '1', (ctx) =>
        ctx.transaction('book', async (tx) => {
          await (tx as EntityManager).insert(HostOrderEntity, { id: ctx.runId, total: 1 });
          return 1n;
        }),
      );
      const id = freshId();
      await engine.start('book', {}, id);
      expect(await ended(engine, id)).toMatchObject({ status: 'failed' });
      expect(await orders(id)).toEqual([]);
    });
  });

  describe('a saga', () => {
    it('undoes its completed steps in reverse and records that at negative positions', async () => {
      const engine = world().engine();
      const undone: string[] = [];
      engine.register('trip', '1', async (ctx) => {
        for (const name of ['flight', 'hotel']) {
          const compensate = async () => {
            undone.push(name);
          };
          await ctx.localStep(name, async () => name, { compensate });
        }
        await ctx.localStep('car', async () => {
          throw new Error('sold out');
        });
      });
      const id = freshId();
      await engine.start('trip', {}, id);
      expect(await ended(engine, id)).toMatchObject({ status: 'failed', error: { message: 'sold out' } });
      expect(undone).toEqual(['hotel', 'flight']);
      const trail = (await world().store.listCheckpoints(id)).map(({ seq, name, status }) => [seq, name, status]);
      expect(trail).toEqual([
        [-2, 'compensate:flight', 'completed'],
        [-1, 'compensate:hotel', 'completed'],
        [0, 'flight', 'completed'],
        [1, 'hotel', 'completed'],
        [2, 'car', 'failed'],
      ]);
    });

    it('is undone by a compensating cancel', async () => {
      const engine = world().engine();
      const undone: string[] = [];
      engine.register('trip', '1', async (ctx) => {
        const compensate = async () => {
          undone.push('flight');
        };
        await ctx.localStep('flight', async () => 1, { compensate });
        await ctx.waitForSignal(`never:${ctx.runId}`);
      });
      const id = freshId();
      await engine.start('trip', {}, id);
      await world().settled(engine, id);
      expect(await engine.cancel(id, { compensate: true })).toMatchObject({ status: 'cancelling' });
      expect(await ended(engine, id)).toMatchObject({ status: 'cancelled' });
      expect(undone).toEqual(['flight']);
    });
  });
}
