import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { freshId } from '../support/fixtures';
import { ended, type World } from './world';

/** Keys in an order that sorting would change, on every level: a match compares serialized text. */
const MATCH = { shop: { zip: '1010', area: { y: 2, b: 1 }, Name: 'Ünder "q" \\ 100%' } };
const PAYLOAD = { total: 5, ...MATCH, about: null };
const OTHER = { total: 6, shop: { zip: '1010', area: { y: 2, b: 2 }, Name: MATCH.shop.Name } };

export function eventCases(world: () => World): void {
  describe('events with a nested match', () => {
    function subscribed(name: string): WorkflowEngine {
      const engine = world().engine();
      engine.register('listen', '1', async (ctx) => {
        const payload = await ctx.waitForEvent(name, { match: MATCH });
        await ctx.sleep(1000);
        return JSON.stringify(payload);
      });
      return engine;
    }

    async function outcome(engine: WorkflowEngine, id: string) {
      await world().settled(engine, id);
      world().clock.advance(1000);
      await engine.resumeDueTimers();
      return (await ended(engine, id)).output;
    }

    it('reach a run that already waits', async () => {
      const [id, name] = [freshId(), freshId('settled')];
      const engine = subscribed(name);
      await engine.start('listen', {}, id);
      await world().settled(engine, id);
      expect(await engine.publishEvent(name, OTHER)).toBe(0);
      expect(await engine.publishEvent(name, PAYLOAD)).toBe(1);
      expect(await outcome(engine, id)).toBe(JSON.stringify(PAYLOAD));
    });

    it('reach a run that waits later, past events that do not match', async () => {
      const [id, name] = [freshId(), freshId('settled')];
      const engine = subscribed(name);
      expect(await engine.publishEvent(name, OTHER)).toBe(0);
      world().clock.advance(1);
      expect(await engine.publishEvent(name, PAYLOAD)).toBe(0);
      await engine.start('listen', {}, id);
      expect(await outcome(engine, id)).toBe(JSON.stringify(PAYLOAD));
      expect(await world().store.listBufferedEvents(name, 50)).toMatchObject([{ payload: OTHER }]);
      expect(await world().store.listSignalWaiters('event:')).toEqual([]);
    });

    it('reach every waiting run, but only one that waits later', async () => {
      const [name, ids] = [freshId('settled'), [freshId(), freshId()]];
      const engine = subscribed(name);
      for (const id of ids) await engine.start('listen', {}, id);
      for (const id of ids) await world().settled(engine, id);
      expect(await engine.publishEvent(name, PAYLOAD)).toBe(2);
      await world().quiet();
      await engine.publishEvent(name, PAYLOAD);
      const later = [freshId(), freshId()];
      for (const id of later) await engine.start('listen', {}, id);
      for (const id of later) await world().settled(engine, id);
      world().clock.advance(1000);
      await engine.resumeDueTimers();
      for (const id of ids) expect((await ended(engine, id)).output).toBe(JSON.stringify(PAYLOAD));
      await world().quiet();
      const statuses = await Promise.all(later.map(async (id) => (await engine.getRun(id))?.status));
      expect(statuses.sort()).toEqual(['completed', 'suspended']);
    });

    it('do not reach runs that wait for a name that differs in case', async () => {
      const engine = world().engine();
      engine.register('aac', '1', (ctx) => ctx.waitForEvent('aac'));
      const id = freshId();
      await engine.start('aac', {}, id);
      await world().settled(engine, id);
      // Their base64 forms differ in case only.
      expect(await engine.publishEvent('aaI', 1)).toBe(0);
      expect(await engine.publishEvent('aac', 2)).toBe(1);
      expect((await ended(engine, id)).output).toBe(2);
    });
  });
}
