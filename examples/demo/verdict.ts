import type { EntityManager } from '@mikro-orm/core';
// An application imports from 'durable-store-mikro-orm'.
import { type MikroOrmStateStore, StepCheckpointEntity } from '../../lib';
import { ChargeEntity, OrderEntity, ReservationEntity, ShipmentEntity, StepLogEntity, type StepLogEntry } from './shop';
import { NAMESPACE, WORKFLOW } from './workflow';

/** What the tables say in the end. */
export interface Verdict {
  orders: number;
  completed: number;
  charges: number;
  /** How often a step's body began, over all orders. Bodies in a rolled back transaction do not count. */
  begun: { reserve: number; ship: number };
  /** One line each: a second charge, or a step that ran after its checkpoint was acknowledged. */
  duplicates: string[];
  /** One line each: an order that is not finished, or misses a part. */
  lost: string[];
}

/** Count it out from the business tables, and hold that against the runs and checkpoints. */
export async function judge(em: EntityManager, store: MikroOrmStateStore): Promise<Verdict> {
  const fork = em.fork();
  const orders = await fork.find(OrderEntity, {}, { orderBy: { id: 'asc' } });
  const charges = countBy(await fork.find(ChargeEntity, {}));
  const reservations = countBy(await fork.find(ReservationEntity, {}));
  const shipments = countBy(await fork.find(ShipmentEntity, {}));
  const steps = await fork.find(StepLogEntity, {}, { orderBy: { id: 'asc' } });
  const runs = await store.listRuns({ workflow: WORKFLOW, namespace: NAMESPACE });
  const status = new Map(runs.map((run) => [run.id, run.status]));
  const runId = orders.map((order) => order.id);
  const checkpoints = await fork.find(StepCheckpointEntity, { runId, name: 'charge', status: 'completed' });
  const recorded = new Set(checkpoints.map((checkpoint) => checkpoint.runId));

  const duplicates = ranAgain(steps);
  const lost: string[] = [];
  let completed = 0;
  for (const { id } of orders) {
    const charged = charges.get(id) ?? 0;
    if (charged > 1) duplicates.push(`${id}: charged ${charged} times`);
    if (charged > 0 && !recorded.has(id)) duplicates.push(`${id}: charged, but the checkpoint does not know`);
    const missing = [
      ...(status.get(id) === 'completed' ? [] : [`its run is ${status.get(id) ?? 'gone'}`]),
      ...(reservations.has(id) ? [] : ['no reservation']),
      ...(charged > 0 ? [] : ['no charge']),
      ...(shipments.has(id) ? [] : ['no shipment']),
    ];
    if (missing.length > 0) lost.push(`${id}: ${missing.join(', ')}`);
    else completed += 1;
  }
  return {
    orders: orders.length,
    completed,
    charges: [...charges.values()].reduce((sum, n) => sum + n, 0),
    begun: { reserve: begun(steps, 'reserve'), ship: begun(steps, 'ship') },
    duplicates,
    lost,
  };
}

/** Whether nothing happened twice and nothing is missing. */
export function isGood({ duplicates, lost }: Verdict): boolean {
  return duplicates.length === 0 && lost.length === 0;
}

/** The verdict in one line, and a line for everything that is wrong. */
export function verdictLines(verdict: Verdict): string[] {
  const { orders, completed, charges, duplicates, lost } = verdict;
  return [
    `Verdict: orders ${orders}, completed ${completed}, charges ${charges}, ` +
      `duplicates ${duplicates.length}, lost ${lost.length}`,
    ...duplicates.map((line) => `  duplicate  ${line}`),
    ...lost.map((line) => `  lost       ${line}`),
  ];
}

/**
 * Steps whose body began after an earlier execution of them was acknowledged. Row ids are handed out when an insert
 * runs, the acknowledgement is written after the engine has its checkpoint, and a body writes its row first: a
 * `started` above an `acknowledged` can only be such a step.
 */
function ranAgain(steps: StepLogEntry[]): string[] {
  const acknowledged = new Map<string, StepLogEntry>();
  const lines: string[] = [];
  for (const row of steps) {
    const key = `${row.orderId}: ${row.step}`;
    const earlier = acknowledged.get(key);
    if (row.entry === 'acknowledged') acknowledged.set(key, row);
    else if (earlier) lines.push(`${key} ran on ${row.worker} after ${earlier.worker} had completed it`);
  }
  return lines;
}

function begun(steps: StepLogEntry[], step: string): number {
  return steps.filter((row) => row.step === step && row.entry === 'started').length;
}

function countBy(rows: { orderId: string }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { orderId } of rows) counts.set(orderId, (counts.get(orderId) ?? 0) + 1);
  return counts;
}
