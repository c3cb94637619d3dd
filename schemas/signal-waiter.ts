import type { TableDefinition } from './definition';
import { WIDTHS } from './widths';

/** A row of `durable_signal_waiters`: the step of a run that the next signal on `token` resumes. */
export interface SignalWaiterRow {
  token: string;
  runId: string;
  seq: number;
  parallelGroup?: string | null;
}

export const signalWaiter: TableDefinition<SignalWaiterRow> = {
  name: 'DurableSignalWaiter',
  table: 'durable_signal_waiters',
  columns: ({ key, integer }) => ({
    token: key(WIDTHS.token, { primary: true }),
    runId: key(WIDTHS.runId),
    seq: integer(),
    parallelGroup: key(WIDTHS.short, { nullable: true }),
  }),
  // A run's waiters, when it is deleted or pruned.
  indexes: [{ name: 'durable_signal_waiters_run_id_idx', properties: ['runId'] }],
};
