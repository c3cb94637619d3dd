import type { StepCheckpoint, WorkflowRun } from '../../lib';

let counter = 0;

/** An id no other test uses. */
export function freshId(prefix = 'run'): string {
  counter += 1;
  return `${prefix}-${process.pid}-${counter}`;
}

/** A pending run; fields given replace the defaults. */
export function aRun(fields: Partial<WorkflowRun> = {}): WorkflowRun {
  const at = new Date('2026-03-01T10:00:00.123Z');
  return {
    id: freshId(),
    workflow: 'order',
    workflowVersion: '1',
    status: 'pending',
    input: { n: 1 },
    createdAt: at,
    updatedAt: at,
    ...fields,
  };
}

/** A completed local step; fields given replace the defaults. */
export function aCheckpoint(fields: Partial<StepCheckpoint> = {}): StepCheckpoint {
  const at = new Date('2026-03-01T10:00:01.456Z');
  const runId = fields.runId ?? freshId();
  const seq = fields.seq ?? 0;
  return {
    runId,
    seq,
    name: 'charge',
    kind: 'local',
    stepId: `${runId}:${seq}`,
    status: 'completed',
    attempts: 1,
    enqueuedAt: at,
    startedAt: at,
    finishedAt: at,
    ...fields,
  };
}

/** The fields of a run that may be absent. */
export const OPTIONAL_RUN_FIELDS = [
  'input',
  'output',
  'error',
  'wakeAt',
  'lockedBy',
  'lockedUntil',
  'awaitingDecisionTaskId',
  'recoveryAttempts',
  'tags',
  'searchAttributes',
  'priority',
  'origin',
] as const satisfies readonly (keyof WorkflowRun)[];

/** A run with every field, in a namespace of its own. */
export function aFullRun(fields: Partial<WorkflowRun> = {}): WorkflowRun {
  return aRun({
    status: 'suspended',
    input: { n: 1 },
    output: { done: true },
    error: { message: 'broken', code: 'E1', retryable: false, stack: 'at…' },
    wakeAt: 1_772_359_200_123,
    lockedBy: 'engine-1',
    lockedUntil: 1_772_359_230_456,
    awaitingDecisionTaskId: 'turn-1',
    recoveryAttempts: 2,
    tags: ['red', 'singleton:42'],
    searchAttributes: { amount: 12.5, city: 'Genève', vip: true },
    namespace: freshId('ns'),
    priority: 3,
    origin: 'billing',
    updatedAt: new Date('2026-03-01T11:00:00.789Z'),
    ...fields,
  });
}

/** A checkpoint with every field. */
export function aFullCheckpoint(fields: Partial<StepCheckpoint> = {}): StepCheckpoint {
  return aCheckpoint({
    kind: 'remote',
    status: 'pending',
    input: { card: 'x' },
    output: { ok: 1 },
    error: { message: 'no' },
    events: [{ type: 'log', at: 1 }] as never,
    workerGroup: 'charge@eu',
    parallelGroup: 'all:0',
    wakeAt: 1_772_359_200_123,
    enqueuedAt: new Date('2026-03-01T10:00:00.001Z'),
    startedAt: new Date('2026-03-01T10:00:00.002Z'),
    finishedAt: new Date('2026-03-01T10:00:00.003Z'),
    ...fields,
  });
}
