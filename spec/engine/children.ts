import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { freshId } from '../support/fixtures';
import { ended, type World } from './world';

export function childCases(world: () => World): void {
  describe('children', () => {
    function family(): WorkflowEngine {
      const engine = world().engine();
      engine.register('square', '1', (ctx, n) => ctx.localStep('multiply', async () => Number(n) ** 2));
      engine.register('wait', '1', (ctx) => ctx.waitForSignal(`go:${ctx.runId}`));
      engine.register('fail', '1', async () => {
        throw new Error('no luck');
      });
      return engine;
    }

    async function run(engine: WorkflowEngine, workflow: string): Promise<string> {
      const id = freshId();
      await engine.start(workflow, {}, id);
      await world().settled(engine, id);
      return id;
    }

    it('hand their output to the parent that awaits them', async () => {
      const engine = family();
      engine.register('parent', '1', (ctx) => ctx.child('square', 7));
      const id = await run(engine, 'parent');
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 49 });
      expect(await engine.getRun(`${id}.child.0`)).toMatchObject({ status: 'completed', output: 49 });
    });

    it('hand their failure to the parent that awaits them', async () => {
      const engine = family();
      engine.register('parent', '1', (ctx) => ctx.child('fail', {}));
      const id = await run(engine, 'parent');
      expect(await ended(engine, id)).toMatchObject({ status: 'failed', error: { message: /no luck/ } });
    });

    it('run beside a parent that does not wait, and are joined later with the same id', async () => {
      const engine = family();
      engine.register('parent', '1', async (ctx) => {
        const id = await ctx.startChild('square', 5);
        await ctx.waitForSignal(`join:${ctx.runId}`);
        return ctx.child('square', 5, id);
      });
      const id = await run(engine, 'parent');
      expect(await ended(engine, `${id}.child.0`)).toMatchObject({ output: 25 });
      await world().quiet();
      await engine.signal(`join:${id}`, null);
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: 25 });
      expect(await engine.getRunChildren(id)).toEqual([`${id}.child.0`]);
    });

    it('run in parallel and hand their outputs back in the order of their inputs', async () => {
      const engine = family();
      engine.register('parent', '1', (ctx) => ctx.all('wait', [2, 3, 4]));
      const id = await run(engine, 'parent');
      for (const n of [2, 0, 1]) {
        expect((await engine.getRun(id))?.status).toBe('suspended');
        await engine.signal(`go:${id}.all.0.${n}`, `output ${n}`);
        await world().quiet();
      }
      expect(await ended(engine, id)).toMatchObject({
        status: 'completed',
        output: ['output 0', 'output 1', 'output 2'],
      });
      const checkpoints = await world().store.listCheckpoints(id);
      expect(checkpoints.map(({ parallelGroup }) => parallelGroup)).toEqual(['all:0', 'all:0', 'all:0']);
    });

    it('are cancelled with their parent', async () => {
      const engine = family();
      engine.register('parent', '1', (ctx) => ctx.child('wait', {}));
      const id = await run(engine, 'parent');
      expect(await engine.cancel(id)).toMatchObject({ status: 'cancelled' });
      expect(await engine.getRun(`${id}.child.0`)).toMatchObject({ status: 'cancelled' });
      expect(await engine.signal(`go:${id}.child.0`, 1)).toMatchObject({ status: 'cancelled' });
    });

    it('are deleted with their parent, and with all that belongs to either', async () => {
      const engine = family();
      engine.register('parent', '1', async (ctx) => {
        await ctx.startChild('square', 3);
        await ctx.upsertSearchAttributes({ kind: 'parent' });
        return ctx.child('wait', {});
      });
      const id = await run(engine, 'parent');
      const other = await run(engine, 'wait');
      const { store } = world();
      expect(await engine.deleteRun(id)).toBe(3);
      for (const gone of [id, `${id}.child.0`, `${id}.child.2`]) {
        expect(await engine.getRun(gone)).toBeNull();
        expect(await store.listCheckpoints(gone)).toEqual([]);
      }
      expect((await store.listSignalWaiters('')).map(({ runId }) => runId)).toEqual([other]);
      const attributes = [{ key: 'kind', op: 'eq' as const, value: 'parent' }];
      expect(await store.listRuns({ attributes })).toEqual([]);
      expect(await engine.deleteRun(id)).toBe(0);
    });
  });
}
