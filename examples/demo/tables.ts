import type { EntityManager } from '@mikro-orm/core';
// An application imports from 'durable-store-mikro-orm'.
import {
  BufferedSignalEntity,
  RunAttributeEntity,
  SignalWaiterEntity,
  StepCheckpointEntity,
  WorkflowRunEntity,
} from '../../lib';
import { ORDER_PREFIX } from './front-office';

export type RowCounts = Record<string, number>;

/** How many rows of the demo's runs each of the five tables holds. They are ordinary entities of the application's ORM. */
export async function countRows(em: EntityManager): Promise<RowCounts> {
  const fork = em.fork();
  const ours = { $like: `${ORDER_PREFIX}%` };
  return {
    durable_workflow_runs: await fork.count(WorkflowRunEntity, { id: ours }),
    durable_step_checkpoints: await fork.count(StepCheckpointEntity, { runId: ours }),
    durable_run_attributes: await fork.count(RunAttributeEntity, { runId: ours }),
    durable_signal_waiters: await fork.count(SignalWaiterEntity, { runId: ours }),
    durable_buffered_signals: await fork.count(BufferedSignalEntity, { token: { $like: `%${ORDER_PREFIX}%` } }),
  };
}

/** What the tables say about one run, a line per row. */
export async function excerpt(em: EntityManager, runId: string): Promise<string[]> {
  const fork = em.fork();
  const run = await fork.findOneOrFail(WorkflowRunEntity, { id: runId });
  const checkpoints = await fork.find(StepCheckpointEntity, { runId }, { orderBy: { seq: 'asc' } });
  const lease = run.lockedBy ? `leased by engine ${run.lockedBy}` : 'no lease';
  return [
    `run ${run.id}  ${run.status}, ${lease}`,
    ...checkpoints.map(({ seq, name, kind, status }) => `step ${seq}  ${name} (${kind})  ${status}`),
  ];
}
