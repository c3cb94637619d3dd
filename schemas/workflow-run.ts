import type { TableDefinition } from './definition';
import { WIDTHS } from './widths';

/** A row of `durable_workflow_runs`: one execution of a workflow. Times are UTC; `…At` and `…Until` numbers are epoch ms. */
export interface WorkflowRunRow {
  id: string;
  workflow: string;
  workflowVersion: string;
  status: string;
  input?: unknown;
  output?: unknown;
  error?: unknown;
  wakeAt?: number | null;
  lockedBy?: string | null;
  lockedUntil?: number | null;
  awaitingDecisionTaskId?: string | null;
  recoveryAttempts?: number | null;
  tags?: string[] | null;
  searchAttributes?: unknown;
  priority?: number | null;
  namespace: string;
  origin?: string | null;
  createdAt: Date;
  updatedAt: Date;
}

export const workflowRun: TableDefinition<WorkflowRunRow> = {
  name: 'DurableWorkflowRun',
  table: 'durable_workflow_runs',
  columns: ({ key, payload, tags, instant, epochMs, integer }) => ({
    id: key(WIDTHS.runId, { primary: true }),
    workflow: key(WIDTHS.short),
    workflowVersion: key(WIDTHS.short),
    status: key(WIDTHS.short),
    input: payload(),
    output: payload(),
    error: payload(),
    wakeAt: epochMs(),
    lockedBy: key(WIDTHS.short, { nullable: true }),
    lockedUntil: epochMs(),
    awaitingDecisionTaskId: key(WIDTHS.stepId, { nullable: true }),
    recoveryAttempts: integer({ nullable: true }),
    tags: tags(),
    searchAttributes: payload(),
    priority: integer({ nullable: true }),
    namespace: key(WIDTHS.short, { default: 'default' }),
    origin: key(WIDTHS.short, { nullable: true }),
    createdAt: instant(),
    updatedAt: instant(),
  }),
  // No index on the lease columns: heartbeats stay heap-only updates on PostgreSQL. The indexes on columns that every
  // status change touches hold there only the rows their one query asks for.
  indexes: [
    // Due timers: suspended runs in the order they became due.
    {
      name: 'durable_workflow_runs_status_wake_at_idx',
      properties: ['status', 'wakeAt'],
      thenKey: ['id'],
      on: {
        postgresql: {
          keys: ({ wakeAt, id }) => [`${wakeAt}`, `${id}`],
          where: ({ status }) => `${status} = 'suspended'`,
        },
      },
    },
    // Pending, running and blocked scans, oldest first; listings by status, newest first.
    { name: 'durable_workflow_runs_status_created_at_idx', properties: ['status', 'createdAt'], thenKey: ['id'] },
    // Listings and singleton gates of one workflow.
    { name: 'durable_workflow_runs_workflow_status_idx', properties: ['workflow', 'status', 'createdAt'] },
    // The same scans for one worker pool.
    { name: 'durable_workflow_runs_namespace_status_idx', properties: ['namespace', 'status', 'createdAt'] },
    // Unfiltered listings, newest first.
    { name: 'durable_workflow_runs_created_at_idx', properties: ['createdAt'], thenKey: ['id'] },
    // Retention: the longest-finished runs of a status.
    {
      name: 'durable_workflow_runs_status_updated_at_idx',
      properties: ['status', 'updatedAt'],
      thenKey: ['id'],
      on: {
        postgresql: {
          keys: ({ status, updatedAt, id }) => [`${status}`, `${updatedAt}`, `${id}`],
          where: ({ status }) => `${status} in ('completed', 'failed', 'cancelled', 'dead')`,
        },
      },
    },
    // Runs that carry a tag. SQLite and MariaDB cannot index the elements of a JSON array.
    {
      name: 'durable_workflow_runs_tags_idx',
      properties: ['tags'],
      on: {
        sqlite: false,
        mysql: false,
        postgresql: { using: 'gin', keys: ({ tags }) => [`${tags} jsonb_path_ops`] },
      },
    },
  ],
};
