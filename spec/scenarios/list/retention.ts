import type { Scenario } from '../scenario';
import { ids } from './expect';

const RUNS = ids('job', 60);
const KEPT = 10;
const PRUNERS = 2;

const prune: Scenario = {
  name: 'pruning beside runs that finish keeps the newest and disturbs nobody',
  register(engine, world) {
    engine.register('job', '1', (ctx) => ctx.transaction('book', (raw) => world.stage.book(raw, `book ${ctx.runId}`)));
  },
  async drive(world) {
    const state = { on: true };
    const pruners = Array.from({ length: PRUNERS }, async (_, process) => {
      while (state.on) {
        await world.stage.prune(process, KEPT).catch((error) => world.trouble('a prune failed', error));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    for (const id of RUNS) await world.engine().start('job', {}, id);
    const allBooked = async () => Object.keys(await world.stage.booked()).length === RUNS.length;
    await world.until('every run has done its work', allBooked);
    await world.until('all have ended', async () => (await world.runs()).every(({ status }) => status === 'completed'));
    state.on = false;
    await Promise.all(pruners);
    await world.stage.prune(0, KEPT);
  },
  judge: ({ runs, booked }) => [
    ...(Object.keys(runs).length === KEPT ? [] : [`${Object.keys(runs).length} runs are left`]),
    ...Object.values(runs).filter((end) => end !== 'completed'),
    ...RUNS.filter((id) => booked[`book ${id}`] !== 1).map((id) => `${id} booked ${booked[`book ${id}`]} times`),
  ],
};

export const retention: readonly Scenario[] = [prune];
