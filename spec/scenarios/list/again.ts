import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids, range } from './expect';

const FAILED = ids('failed', 4);
const CANCELLED = ids('cancelled', 4);
const RETRIED = ids('retried', 4);
const DEAD = ids('dead', 4);
const LEASE_MS = 3_600_000;

/** Orders that fail at their first charge, unless they say otherwise; then they wait to be approved. */
function orders(engine: WorkflowEngine, world: World): void {
  engine.register('order', '1', async (ctx, input) => {
    const { card } = input as { card: string };
    await ctx.localStep('reserve', async () => void world.ledger.did(`reserve ${ctx.runId}`));
    await ctx.localStep('charge', async () => {
      if (world.ledger.did(`charge ${ctx.runId}`) === 1 && card === 'weak') throw new Error('refused');
      if (card === 'bad') throw new Error('bad card');
    });
    const approved = await ctx.waitForSignal<string>(`approve:${ctx.runId}`);
    await ctx.transaction('ship', (raw) => world.stage.book(raw, `ship ${ctx.runId}`));
    return approved;
  });
}

const again: Scenario = {
  name: 'failed and cancelled runs that are queued again go on where they stopped, and retries begin anew',
  register: orders,
  async drive(world) {
    const engine = world.engine();
    for (const id of FAILED) await engine.start('order', { card: 'weak' }, id);
    for (const id of CANCELLED) await engine.start('order', { card: 'good' }, id);
    for (const id of RETRIED) await engine.start('order', { card: 'bad' }, id);
    await world.untilStatus('failed', [...FAILED, ...RETRIED]);
    await world.untilStatus('suspended', CANCELLED);
    for (const id of CANCELLED) await engine.cancel(id);
    await Promise.all([...FAILED, ...CANCELLED].map((id) => engine.requeue(id)));
    await Promise.all(RETRIED.map((id) => engine.retryWithInput(id, { card: 'good' }, `${id}-anew`)));
    const all = [...FAILED, ...CANCELLED, ...RETRIED.map((id) => `${id}-anew`)];
    await world.untilStatus('suspended', all);
    await Promise.all(all.map((id) => engine.signal(`approve:${id}`, 'yes')));
    await world.untilEnded(all.length + RETRIED.length);
  },
  expected() {
    const expected = new Expectation();
    const shipped = (id: string, charges: number) =>
      expected.completed(id, 'yes').does(`reserve ${id}`).does(`charge ${id}`, charges).books(`ship ${id}`);
    for (const id of FAILED) shipped(id, 2);
    for (const id of CANCELLED) shipped(id, 1);
    for (const id of RETRIED) {
      expected.ended(id, 'failed: bad card').does(`reserve ${id}`).does(`charge ${id}`);
      shipped(`${id}-anew`, 1);
    }
    return expected;
  },
};

const dead: Scenario = {
  name: 'dead runs that are queued again complete',
  engines: [
    { name: 'a', polls: false, options: () => ({ leaseMs: LEASE_MS }) },
    { name: 'b', process: 1, polls: false, options: () => ({ leaseMs: LEASE_MS, maxRecoveryAttempts: 0 }) },
  ],
  register(engine, world, name) {
    engine.register('job', '1', async (ctx) => {
      await ctx.localStep('load', async () => void world.ledger.did(`load ${ctx.runId}`));
      await ctx.localStep('work', async () => {
        world.ledger.did(`work ${ctx.runId}`);
        if (name === 'a') await world.gate.passed;
      });
      await ctx.transaction('book', (raw) => world.stage.book(raw, `book ${ctx.runId}`));
    });
  },
  async drive(world) {
    for (const id of DEAD) await world.engine('a').start('job', {}, id);
    await world.until('all are at work', async () => DEAD.every((id) => world.ledger.times(`work ${id}`) > 0));
    world.skip(LEASE_MS);
    world.startPolling('b');
    await world.untilStatus('dead', DEAD);
    for (const id of DEAD) await world.engine('b').requeue(id);
    await world.untilEnded(DEAD.length);
  },
  expected() {
    const expected = new Expectation();
    for (const id of DEAD) expected.completed(id).does(`load ${id}`).does(`work ${id}`, 2).books(`book ${id}`);
    return expected;
  },
};

const CHAINS = ids('pages', 4);
const LINKS = 8;

const chain: Scenario = {
  name: 'a run that continues as a new one again and again does each part once',
  register(engine, world) {
    engine.register('pages', '1', async (ctx, input) => {
      const page = input as number;
      await ctx.localStep('read', async () => void world.ledger.did(`read ${ctx.runId}`));
      await ctx.sleep(5);
      await ctx.transaction('store', (raw) => world.stage.book(raw, `store ${ctx.runId}`));
      if (page < LINKS - 1) ctx.continueAsNew(page + 1);
      return page;
    });
  },
  async drive(world) {
    await Promise.all(CHAINS.map((id) => world.engine().start('pages', 0, id)));
    await world.untilEnded(CHAINS.length * LINKS);
  },
  expected() {
    const expected = new Expectation();
    for (const first of CHAINS) {
      for (const page of range(LINKS)) {
        const id = page === 0 ? first : `${first}~${page}`;
        expected
          .completed(id, page === LINKS - 1 ? page : undefined)
          .does(`read ${id}`)
          .books(`store ${id}`);
      }
    }
    return expected;
  },
};

export const againScenarios: readonly Scenario[] = [again, dead, chain];
