import { InMemoryTransport } from '@dudousxd/nestjs-durable-core';
import type { Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids } from './expect';

const RUNS = ids('image', 20);

/** A worker that answers in its own time, and cannot resize at first. */
function worker(world: World): InMemoryTransport {
  const transport = new InMemoryTransport();
  transport.handle('resize', (run) => {
    if (world.ledger.did(`resize ${run}`) === 1) throw new Error('busy');
    return 'small';
  });
  transport.handle('upload', (run) => {
    world.ledger.did(`upload ${run}`);
    return 'done';
  });
  return transport;
}

const remote: Scenario = {
  name: 'remote steps are worked on once, and again when a worker fails',
  engines: [{ name: 'a', options: (world) => ({ transport: worker(world) }) }],
  register(engine, world) {
    engine.register('image', '1', async (ctx) => {
      const size = await ctx.step<string>('resize', ctx.runId, { retries: 3 });
      const state = await ctx.step<string>('upload', ctx.runId);
      await ctx.transaction('bill', (raw) => world.stage.book(raw, `bill ${ctx.runId}`));
      return `${size} ${state}`;
    });
  },
  async drive(world) {
    await Promise.all(RUNS.map((id) => world.engine().start('image', {}, id)));
    await world.untilEnded(RUNS.length);
  },
  expected() {
    const expected = new Expectation();
    for (const id of RUNS) {
      expected.completed(id, 'small done').does(`resize ${id}`, 2).does(`upload ${id}`).books(`bill ${id}`);
    }
    return expected;
  },
};

export const remotes: readonly Scenario[] = [remote];
