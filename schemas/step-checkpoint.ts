import type { TableDefinition } from './definition';
import { WIDTHS } from './widths';

/** A row of `durable_step_checkpoints`: the state of one step of one run. `seq` is negative for compensations. */
export interface StepCheckpointRow {
  runId: string;
  seq: number;
  name: string;
  kind: string;
  stepId: string;
  status: string;
  input?: unknown;
  output?: unknown;
  error?: unknown;
  events?: unknown;
  attempts: number;
  workerGroup?: string | null;
  parallelGroup?: string | null;
  wakeAt?: number | null;
  enqueuedAt?: Date | null;
  startedAt: Date;
  finishedAt: Date;
}

export const stepCheckpoint: TableDefinition<StepCheckpointRow> = {
  name: 'DurableStepCheckpoint',
  table: 'durable_step_checkpoints',
  columns: ({ key, payload, instant, epochMs, integer }) => ({
    runId: key(WIDTHS.runId, { primary: true }),
    seq: integer({ primary: true }),
    name: key(WIDTHS.checkpointName),
    kind: key(WIDTHS.short),
    stepId: key(WIDTHS.stepId),
    status: key(WIDTHS.short),
    input: payload(),
    output: payload(),
    error: payload(),
    events: payload(),
    attempts: integer(),
    workerGroup: key(WIDTHS.short, { nullable: true }),
    parallelGroup: key(WIDTHS.short, { nullable: true }),
    wakeAt: epochMs(),
    enqueuedAt: instant({ nullable: true }),
    startedAt: instant(),
    finishedAt: instant(),
  }),
  indexes: [
    // The latest checkpoint of a name, and those of a name prefix, in long histories.
    {
      name: 'durable_step_checkpoints_run_id_name_idx',
      properties: ['runId', 'name'],
      thenKey: ['seq'],
      on: { mysql: { keys: ({ runId, name }) => [runId as string, `${name}(190)`] } },
    },
  ],
};
