import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { EngineSetting, Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids, range } from './expect';
import { AFTER_FAN_OUT, AWAITED_CHILD } from './fan-out';

const PARENTS = ids('order', 6);
const CHILDREN = 3;

/** Orders of three items, of which the one in the middle is out of stock at first. */
function orders(engine: WorkflowEngine, world: World): void {
  engine.register('item', '1', (ctx, input) =>
    ctx.localStep('make', async () => {
      const times = world.ledger.did(`make ${ctx.runId}`);
      if (input === 1 && times === 1) throw new Error('out of stock');
      return input;
    }),
  );
  engine.register('order', '1', async (ctx) => {
    const items = await ctx.all('item', range(CHILDREN));
    await ctx.transaction('charge', (raw) => world.stage.book(raw, `charge ${ctx.runId}`));
    return items;
  });
}

async function startOrders(world: World): Promise<void> {
  await Promise.all(PARENTS.map((id) => world.engine().start('order', {}, id)));
  await world.untilEnded(PARENTS.length * (CHILDREN + 1));
}

const childFails: Scenario = {
  name: 'parents whose child has failed fail, and stay so',
  register: orders,
  drive: startOrders,
  expected() {
    const expected = new Expectation();
    for (const id of PARENTS) {
      const child = (n: number) => `${id}.all.0.${n}`;
      expected.ended(id, `failed: ctx.all: 1 of ${CHILDREN} child(ren) failed: ${child(1)}`);
      for (const n of range(CHILDREN)) expected.completed(child(n), n).does(`make ${child(n)}`);
      expected.ended(child(1), 'failed: out of stock');
    }
    return expected;
  },
  leaves: [AWAITED_CHILD],
};

/**
 * `ctx.all` does not look for a child's end among the buffered signals, not even on the engine's own store: one that comes
 * again before its parent waits again is found when the parent looks by itself.
 */
const LOOKS_AGAIN: readonly EngineSetting[] = [{ name: 'a', options: () => ({ reconcileMs: 300 }) }];

const failsOnce: Scenario = {
  name: 'parents whose child has failed complete once they are queued again',
  engines: LOOKS_AGAIN,
  register: orders,
  async drive(world) {
    await startOrders(world);
    await world.afterPolls('a', 3);
    for (const id of PARENTS) await world.engine().requeue(id);
    await world.untilStatus('completed', PARENTS);
  },
  expected() {
    const expected = new Expectation();
    for (const id of PARENTS) {
      expected.completed(id, range(CHILDREN)).books(`charge ${id}`);
      for (const n of range(CHILDREN)) {
        const child = `${id}.all.0.${n}`;
        expected.completed(child, n).does(`make ${child}`, n === 1 ? 2 : 1);
      }
    }
    return expected;
  },
  referenceRepeats: { charge: AFTER_FAN_OUT },
  leaves: [AWAITED_CHILD],
};

const notAwaited: Scenario = {
  name: 'children that nobody awaits run beside their parents, once each',
  register(engine, world) {
    engine.register('mail', '1', (ctx) =>
      ctx.localStep('send', async () => void world.ledger.did(`send ${ctx.runId}`)),
    );
    engine.register('order', '1', async (ctx) => {
      const mails: string[] = [];
      for (const n of range(CHILDREN)) mails.push(await ctx.startChild('mail', { n }));
      await ctx.localStep('close', async () => void world.ledger.did(`close ${ctx.runId}`));
      return mails;
    });
  },
  async drive(world) {
    await Promise.all(PARENTS.map((id) => world.engine().start('order', {}, id)));
    await world.untilEnded(PARENTS.length * (CHILDREN + 1));
  },
  expected() {
    const expected = new Expectation();
    for (const id of PARENTS) {
      const mails = range(CHILDREN).map((n) => `${id}.child.${n}`);
      expected.completed(id, mails).does(`close ${id}`);
      for (const mail of mails) expected.completed(mail).does(`send ${mail}`);
    }
    return expected;
  },
};

export const childScenarios: readonly Scenario[] = [childFails, failsOnce, notAwaited];
