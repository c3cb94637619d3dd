import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids } from './expect';

const FAILING = ids('failing', 6);
const CANCELLED = ids('cancelled', 6);
const SHIPPED = ids('shipped', 3);

/** Three steps of which the first two can be undone; the last one waits for a courier, and fails without one. */
function trips(engine: WorkflowEngine, world: World): void {
  engine.register('trip', '1', async (ctx) => {
    const step = (name: string) =>
      ctx.localStep(name, async () => void world.ledger.did(`${name} ${ctx.runId}`), {
        compensate: async () => void world.ledger.did(`undo-${name} ${ctx.runId}`),
      });
    await step('reserve');
    await step('charge');
    const courier = await ctx.waitForSignal<string>(`courier:${ctx.runId}`);
    if (courier === 'none') throw new Error('no courier');
    await step('ship');
    return courier;
  });
}

const saga: Scenario = {
  name: 'what a run has done is undone once, the last first, when it fails and when it is cancelled',
  register: trips,
  async drive(world) {
    const engine = world.engine();
    const all = [...FAILING, ...CANCELLED, ...SHIPPED];
    await Promise.all(all.map((id) => engine.start('trip', {}, id)));
    await world.untilStatus('suspended', all);
    await Promise.all([
      ...FAILING.map((id) => engine.signal(`courier:${id}`, 'none')),
      ...CANCELLED.map((id) => engine.cancel(id, { compensate: true })),
      ...SHIPPED.map((id) => engine.signal(`courier:${id}`, 'bike')),
    ]);
    await world.untilEnded(all.length);
  },
  expected() {
    const expected = new Expectation();
    const begun = (id: string) => expected.does(`reserve ${id}`).does(`charge ${id}`);
    const undone = (id: string) => begun(id).does(`undo-reserve ${id}`).does(`undo-charge ${id}`);
    for (const id of FAILING) undone(id).ended(id, 'failed: no courier');
    for (const id of CANCELLED) undone(id).ended(id, 'cancelled');
    for (const id of SHIPPED) begun(id).does(`ship ${id}`).completed(id, 'bike');
    return expected;
  },
  leaves: ['courier:cancelled-'],
};

export const sagas: readonly Scenario[] = [saga];
