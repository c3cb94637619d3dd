import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { EngineSetting, Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids } from './expect';

const LEASE_MS = 3_600_000;
const ABANDONED = ids('abandoned', 4);
const UNDER_WAY = ids('under-way', 4);
const QUEUED = ids('queued', 4);

const PROCESSES: readonly EngineSetting[] = [
  { name: 'a', polls: false, options: () => ({ leaseMs: LEASE_MS }) },
  { name: 'b', process: 1, polls: false, options: () => ({ leaseMs: LEASE_MS }) },
];

/** Runs of four steps, of which the second waits at the gate in the process of `a`. */
function journeys(engine: WorkflowEngine, world: World, name: string): void {
  engine.register('journey', '1', async (ctx) => {
    const step = (what: string) => ctx.localStep(what, async () => void world.ledger.did(`${what} ${ctx.runId}`));
    await step('pack');
    await ctx.localStep('travel', async () => {
      world.ledger.did(`travel ${ctx.runId}`);
      if (name === 'a') await world.gate.passed;
    });
    await ctx.transaction('pay', (raw) => world.stage.book(raw, `pay ${ctx.runId}`));
    await step('unpack');
    return ctx.runId;
  });
}

function travelling(world: World, runs: readonly string[]): Promise<void> {
  return world.until('all are on their way', async () => runs.every((id) => world.ledger.times(`travel ${id}`) > 0));
}

function arrived(runs: readonly string[], travels: number, expected = new Expectation()): Expectation {
  for (const id of runs) {
    expected.completed(id, id).does(`pack ${id}`).does(`travel ${id}`, travels).does(`unpack ${id}`).books(`pay ${id}`);
  }
  return expected;
}

const abandoned: Scenario = {
  name: 'runs of a process that is gone are finished by another one, and what it still does when it comes back counts for nothing',
  engines: PROCESSES,
  register: journeys,
  async drive(world) {
    for (const id of ABANDONED) await world.engine().start('journey', {}, id);
    await travelling(world, ABANDONED);
    world.startPolling('b');
    await world.afterPolls('b', 3);
    world.skip(LEASE_MS);
    await world.untilEnded(ABANDONED.length);
  },
  expected: () => arrived(ABANDONED, 2),
};

const drained: Scenario = {
  name: 'a process that is drained finishes what it has in hand and leaves the rest to another one',
  engines: PROCESSES,
  register: journeys,
  async drive(world) {
    for (const id of UNDER_WAY) await world.engine().start('journey', {}, id);
    await travelling(world, UNDER_WAY);
    const drain = world.engine().drain();
    for (const id of QUEUED) await world.engine().start('journey', {}, id);
    world.startPolling('b');
    world.gate.open();
    await drain;
    await world.untilEnded(UNDER_WAY.length + QUEUED.length);
  },
  expected: () => arrived(QUEUED, 1, arrived(UNDER_WAY, 1)),
};

export const restarts: readonly Scenario[] = [abandoned, drained];
