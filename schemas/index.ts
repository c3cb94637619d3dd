import type { EntitySchema } from '@mikro-orm/core';
import { type BufferedSignalRow, bufferedSignal } from './buffered-signal';
import { type DurableEntitiesOptions, defineTable } from './definition';
import { type RunAttributeRow, runAttribute } from './run-attribute';
import { type SignalWaiterRow, signalWaiter } from './signal-waiter';
import { type StepCheckpointRow, stepCheckpoint } from './step-checkpoint';
import { type WorkflowRunRow, workflowRun } from './workflow-run';

export type { MySqlCollation } from './columns';
export type { DurableEntitiesOptions, Naming } from './definition';
export type { BufferedSignalRow, RunAttributeRow, SignalWaiterRow, StepCheckpointRow, WorkflowRunRow };

/** The five entities of one choice of naming and schema, in a fixed order. */
export type DurableEntities = [
  EntitySchema<WorkflowRunRow>,
  EntitySchema<StepCheckpointRow>,
  EntitySchema<RunAttributeRow>,
  EntitySchema<SignalWaiterRow>,
  EntitySchema<BufferedSignalRow>,
];

/**
 * The five entities under another column naming, in another database schema, or with another MySQL collation.
 * Use them in place of {@link ENTITIES}; the store finds them in the ORM it is given.
 *
 * @throws TypeError for an option of another name or kind, when a name is not a plain SQL identifier, or when two columns of a
 *   table would share one.
 */
export function durableEntities(options: DurableEntitiesOptions = {}): DurableEntities {
  return [
    defineTable(workflowRun, options),
    defineTable(stepCheckpoint, options),
    defineTable(runAttribute, options),
    defineTable(signalWaiter, options),
    defineTable(bufferedSignal, options),
  ];
}

/** The five entities of the store. Spread them into `entities` of a MikroORM config. */
export const ENTITIES: DurableEntities = durableEntities();

/** Runs: table `durable_workflow_runs`. */
export const WorkflowRunEntity = ENTITIES[0];
/** Step checkpoints: table `durable_step_checkpoints`. */
export const StepCheckpointEntity = ENTITIES[1];
/** Search attributes: table `durable_run_attributes`. */
export const RunAttributeEntity = ENTITIES[2];
/** Signal waiters: table `durable_signal_waiters`. */
export const SignalWaiterEntity = ENTITIES[3];
/** Buffered signals and events: table `durable_buffered_signals`. */
export const BufferedSignalEntity = ENTITIES[4];

/**
 * The names of the five tables, without a schema.
 *
 * For `schemaGenerator.skipTables` only in a config that does **not** register the entities, together with
 * `migrations: { snapshot: false }`. Where they are registered, naming them there makes the migrations of MikroORM before 7.1.12
 * drop the tables, and the store refuses such a config with `DURABLE_TABLES_SKIPPED`.
 */
export function durableManagedTables(): string[] {
  return [workflowRun, stepCheckpoint, runAttribute, signalWaiter, bufferedSignal].map(({ table }) => table);
}
