import { TERMINAL_RUN_STATUSES, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
// An application imports from 'durable-store-mikro-orm'.
import { MikroOrmStateStore } from '../../lib';
import { type Order, OrderEntity, Shop } from './shop';
import { approvalToken, NAMESPACE, orderWorkflow, VERSION, WORKFLOW } from './workflow';

/**
 * A store for a process that starts and signals runs but must not execute them. Without a lease the engine runs nothing:
 * a signal is recorded, and a worker carries the run on.
 */
class EnqueueOnlyStore extends MikroOrmStateStore {
  override async tryLockRun(): Promise<boolean> {
    return false;
  }
}

/** Takes orders and approves them. */
export class FrontOffice {
  readonly store: MikroOrmStateStore;
  private readonly engine: WorkflowEngine;

  constructor(private readonly orm: MikroORM) {
    this.store = new EnqueueOnlyStore(orm);
    this.engine = new WorkflowEngine({
      store: this.store,
      namespace: NAMESPACE,
      runDispatcher: { dispatch: () => undefined },
    });
    // Starting a run needs its name and version; the body never runs here.
    const shop = new Shop(orm.em, 'front office', async () => undefined);
    this.engine.register(WORKFLOW, VERSION, orderWorkflow(shop));
  }

  async place(order: Order): Promise<void> {
    await this.orm.em.fork().insert(OrderEntity, order);
    await this.engine.start(WORKFLOW, order, order.id, { searchAttributes: { amountCents: order.amountCents } });
  }

  /** Approve an order, whether or not its run is waiting yet: a signal that comes early is kept. */
  async approve(orderId: string, by: string): Promise<void> {
    await this.engine.signal(approvalToken(orderId), { by });
  }

  /** The orders that wait for an approval now. */
  async waiting(): Promise<string[]> {
    const waiters = await this.store.listSignalWaiters(approvalToken(ORDER_PREFIX));
    return waiters.map(({ runId }) => runId);
  }

  /** How many runs have reached an end, good or bad. */
  async endedRuns(): Promise<number> {
    const facets = await this.store.runFacets({ workflow: WORKFLOW, namespace: NAMESPACE });
    return facets.reduce((sum, { status, count }) => (TERMINAL_RUN_STATUSES.includes(status) ? sum + count : sum), 0);
  }

  /** Remove what an earlier demo left in the store, and only that. */
  async forgetEarlierOrders(): Promise<void> {
    const runs = await this.store.listRuns({ workflow: WORKFLOW, namespace: NAMESPACE });
    for (const { id } of runs.filter((run) => run.id.startsWith(ORDER_PREFIX))) {
      await this.store.deleteRun(id);
      // A completion nobody waited for, and approvals that came twice.
      for (const token of [`child:${id}`, approvalToken(id)]) {
        while (await this.store.takeBufferedSignal(token));
      }
    }
  }
}

/** What every id of the demo begins with. */
export const ORDER_PREFIX = 'demo-order-';

/** The id of an order and of its run. */
export function orderId(n: number): string {
  return ORDER_PREFIX + String(n).padStart(4, '0');
}
