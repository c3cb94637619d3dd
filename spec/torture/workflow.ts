import { eventNameOf, isEventToken, type WorkflowCtx, type WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { Observer } from './observer';

export const ORDER = 'torture-order';
export const ITEM = 'torture-item';
export const VERSION = '1';
export const NAMESPACE = 'durable-torture';

/** What a run is started with. `n` decides which of the parts it has. */
export interface Plan {
  readonly n: number;
}

/** The payload of a signal or an event; `message` is unique. */
export interface Message {
  readonly run: string;
  readonly message: string;
}

export function orderId(n: number): string {
  return `order-${String(n).padStart(6, '0')}`;
}

export function approvalToken(run: string): string {
  return `approve:${run}`;
}

export function parcelEvent(run: string): string {
  return `parcel:${run}`;
}

/** The wait a checkpoint's name stands for: an approval's token or a parcel's event; `undefined` for other names. */
export function waitOf(checkpointName: string): string | undefined {
  if (!checkpointName.startsWith('signal:')) return undefined;
  const token = checkpointName.slice('signal:'.length);
  if (isEventToken(token)) return eventNameOf(token);
  return token.startsWith('approve:') ? token : undefined;
}

/** What a run of this plan has beside its steps. */
export function partsOf({ n }: Plan) {
  return { approval: n % 2 === 0, parcel: n % 3 === 0, child: n % 4 === 1, siblings: n % 8 === 3 };
}

/** The local steps and transactions a completed run has executed. */
export function stepsOf(workflow: string): { local: string[]; transactions: string[] } {
  return workflow === ORDER
    ? { local: ['reserve', 'pack', 'close'], transactions: ['charge', 'ship'] }
    : { local: ['make'], transactions: ['bill'] };
}

export function register(engine: WorkflowEngine, observer: Observer): void {
  engine.register(ORDER, VERSION, (ctx, input) => observer.turn(ctx, () => order(ctx, input as Plan, observer)));
  engine.register(ITEM, VERSION, (ctx, input) => observer.turn(ctx, () => item(ctx, input as Plan, observer)));
}

async function order(ctx: WorkflowCtx, plan: Plan, observer: Observer): Promise<unknown> {
  const { n } = plan;
  const parts = partsOf(plan);
  const run = ctx.runId;
  const outputs: unknown[] = [
    await observer.step(ctx, 'reserve', [0, 30], { retries: 3 }),
    await observer.transaction(ctx, 'charge', n),
  ];
  await ctx.sleep(20 + (n % 7) * 120);
  if (parts.approval) outputs.push(await ctx.waitForSignal<Message>(approvalToken(run)));
  outputs.push(await observer.step(ctx, 'pack', n % 5 === 0 ? [200, 900] : [0, 15]));
  if (parts.parcel) outputs.push(await ctx.waitForEvent<Message>(parcelEvent(run), { match: { run } }));
  if (parts.child) outputs.push(await ctx.child(ITEM, { n }));
  if (parts.siblings) outputs.push(await ctx.all(ITEM, [{ n }, { n: n + 1 }]));
  outputs.push(await observer.transaction(ctx, 'ship', n + 1));
  outputs.push(await observer.step(ctx, 'close', [0, 5]));
  return outputs;
}

async function item(ctx: WorkflowCtx, { n }: Plan, observer: Observer): Promise<unknown> {
  const made = await observer.step(ctx, 'make', [0, 40]);
  await ctx.sleep(50 + (n % 3) * 100);
  return [made, await observer.transaction(ctx, 'bill', n + 2)];
}
