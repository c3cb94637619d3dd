import type { WorkflowCtx } from '@dudousxd/nestjs-durable-core';
import type { EntityManager } from '@mikro-orm/core';
import type { Order, Shop } from './shop';

export const WORKFLOW = 'demo-order';
export const VERSION = '1';
/** Keeps the demo's runs apart from others in the same database. */
export const NAMESPACE = 'durable-demo';

export interface Approval {
  by: string;
}

export type OrderWorkflow = (ctx: WorkflowCtx, input: unknown) => Promise<Approval>;

/** The signal that lets an order be shipped. */
export function approvalToken(orderId: string): string {
  return `approve:${orderId}`;
}

/**
 * An order from stock to parcel. The process may die at any point: another one calls this function from its first line,
 * and steps that have a completed checkpoint return their recorded result instead of running.
 */
export function orderWorkflow(shop: Shop): OrderWorkflow {
  return async (ctx, input) => {
    const order = input as Order;

    // At least once: a crash inside the body runs it again. Its effect must bear that.
    await ctx.localStep('reserve', () => shop.reserve(order), { retries: 3 });

    // Exactly once: the charge and the checkpoint are one transaction; `tx` is its EntityManager.
    await ctx.transaction('charge', (tx) => shop.charge(order, tx as EntityManager));

    // Minutes or months: no process holds anything while a run waits.
    const approval = await ctx.waitForSignal<Approval>(approvalToken(order.id));

    await ctx.localStep('ship', () => shop.ship(order, approval.by), { retries: 3 });
    return approval;
  };
}
