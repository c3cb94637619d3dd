import { setTimeout as delay } from 'node:timers/promises';
import type { EngineSetting, Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids } from './expect';

const LEASE_MS = 200;
/** The engines' time passes this much slower, so that a lease is renewed ten times before it ends on a busy machine too. */
const SLOWER = 5;
/** How long a transaction stays open, in the engines' time. */
const OPEN_MS = 2 * LEASE_MS;
const TRANSFERS = ids('transfer', 10);
const MAIL = 'mail';

function slowly(): number {
  return Math.floor(Date.now() / SLOWER);
}

const SLOW: EngineSetting['options'] = () => ({ leaseMs: LEASE_MS, clock: slowly });

async function pass(ms: number): Promise<void> {
  const until = slowly() + ms;
  while (slowly() < until) await delay(10);
}

/** A database with a single connection serves nobody else while a transaction is open. */
function openMs(world: World): number {
  return world.stage.connections > 1 ? OPEN_MS : 0;
}

const fullPool: Scenario = {
  name: 'as many transactions at once as the pool has connections leave a process its leases',
  engines: [
    { name: 'a', options: SLOW },
    { name: 'b', process: 1, options: SLOW },
  ],
  register(engine, world) {
    engine.register('transfer', '1', (ctx) =>
      ctx.transaction('move', async (raw) => {
        world.ledger.did(`move ${ctx.runId}`);
        await world.stage.book(raw, `move ${ctx.runId}`);
        await pass(openMs(world));
      }),
    );
    engine.register('mail', '1', (ctx) =>
      ctx.localStep('send', async () => {
        world.ledger.did(`send ${ctx.runId}`);
        await pass(openMs(world));
      }),
    );
  },
  async drive(world) {
    const engine = world.engine();
    await engine.start('mail', {}, MAIL);
    await Promise.all(TRANSFERS.map((id) => engine.start('transfer', {}, id)));
    await world.untilEnded(TRANSFERS.length + 1);
  },
  expected() {
    const expected = new Expectation().completed(MAIL).does(`send ${MAIL}`);
    for (const id of TRANSFERS) expected.completed(id).does(`move ${id}`).books(`move ${id}`);
    return expected;
  },
};

export const transactions: readonly Scenario[] = [fullPool];
