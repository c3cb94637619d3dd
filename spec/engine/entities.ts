import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { atOnce, eventually, Gate } from '../support/concurrency';
import { freshId } from '../support/fixtures';
import { ended, type World } from './world';

interface Ledger {
  entries: number[];
}

export function entityCases(world: () => World): void {
  describe('entities', () => {
    function bank(engine: WorkflowEngine): WorkflowEngine {
      engine.registerEntity<Ledger>('ledger', {
        initialState: () => ({ entries: [] }),
        handlers: {
          add: (state, n) => {
            state.entries.push(Number(n));
            return state.entries.length;
          },
        },
      });
      return engine;
    }

    it('apply each of 20 operations that two processes send at once while the entity is busy', async () => {
      const engines = [bank(world().engine()), bank(world().peer())] as const;
      const key = freshId('o"neil_100%');
      const busy = new Gate();
      const begun = new Gate();
      engines[0].registerEntity<Ledger>('ledger', {
        initialState: () => ({ entries: [] }),
        handlers: {
          add: async (state, n) => {
            begun.open();
            await busy.passed;
            state.entries.push(Number(n));
          },
        },
      });
      await engines[0].signalEntity('ledger', key, 'add', 0);
      await begun.passed;
      await atOnce(20, engines, (engine, n) => engine.signalEntity('ledger', key, 'add', n + 1));
      busy.open();
      await world().quiet();
      const state = await engines[1].getEntityState<Ledger>('ledger', key);
      expect(sorted(state)).toEqual(Array.from({ length: 21 }, (_, n) => n));
    });

    it('apply both operations that two processes send an idle entity at once, time after time', async () => {
      const options = { leaseMs: 86_400_000, reconcileMs: 1000 };
      const engines = [bank(world().engine(options)), bank(world().peer(options))] as const;
      const key = freshId();
      await engines[0].signalEntity('ledger', key, 'add', 0);
      for (let round = 0; round < 10; round += 1) {
        await world().quiet();
        await atOnce(2, engines, (engine, n) => engine.signalEntity('ledger', key, 'add', round * 2 + n + 1));
        await eventually(`round ${round} is applied`, async () => {
          await world().quiet();
          const state = await engines[0].getEntityState<Ledger>('ledger', key);
          // A signal that comes in the last moment of the other process's turn waits for the reconcile timer.
          world().clock.advance(1000);
          for (const engine of engines) await engine.resumeDueTimers();
          return state?.entries.length === round * 2 + 3;
        });
      }
      const state = await engines[1].getEntityState<Ledger>('ledger', key);
      expect(sorted(state)).toEqual(Array.from({ length: 21 }, (_, n) => n));
    });

    it('answer a workflow that calls them', async () => {
      const engine = bank(world().engine());
      const key = freshId();
      engine.register('caller', '1', async (ctx) => [
        await ctx.callEntity('ledger', key, 'add', 7),
        await ctx.callEntity('ledger', key, 'add', 8),
      ]);
      const id = freshId();
      await engine.start('caller', {}, id);
      expect(await ended(engine, id)).toMatchObject({ status: 'completed', output: [1, 2] });
      expect(await engine.getEntityState('ledger', key)).toEqual({ entries: [7, 8] });
    });
  });
}

function sorted(state: Ledger | undefined): number[] | undefined {
  return state?.entries.sort((a, b) => a - b);
}
