import type { RunAttributeRow } from '../schemas/run-attribute';
import type { SignalWaiterRow } from '../schemas/signal-waiter';
import type { StepCheckpointRow } from '../schemas/step-checkpoint';
import { WIDTHS, type Width } from '../schemas/widths';
import type { WorkflowRunRow } from '../schemas/workflow-run';
import { DurableInputError } from './errors';
import { checkDate, checkEpochMs, checkInteger, checkTags, checkText, describe } from './limits';
import type { Param } from './session';
import type { Table } from './tables';
import type { SearchAttributes, SignalWaiter, StepCheckpoint, WorkflowRun } from './types';

/** Checks a value and turns it into the parameter of its column, through the column's type where it has a form of its own. */
type Field = (value: unknown, field: string, encode: (value: unknown) => Param) => Param;

const checked =
  (check: (value: unknown, field: string) => void): Field =>
  (value, field, encode) => {
    check(value, field);
    return encode(value);
  };

const optional =
  (present: Field): Field =>
  (value, field, encode) =>
    value === undefined || value === null ? null : present(value, field, encode);

const key = (width: Width): Field => checked((value, field) => checkText(value, field, width));
const epochMs = checked(checkEpochMs);
const date = checked(checkDate);
const integer = checked(checkInteger);
const tags = checked(checkTags);
const payload: Field = (value, _field, encode) => encode(value);

const attributes = checked(attributeEntries);

const namespace: Field = (value, field, encode) => key(WIDTHS.short)(value ?? 'default', field, encode);

const RUN_FIELDS: Record<keyof WorkflowRunRow, Field> = {
  id: key(WIDTHS.runId),
  workflow: key(WIDTHS.short),
  workflowVersion: key(WIDTHS.short),
  status: key(WIDTHS.short),
  input: payload,
  output: payload,
  error: payload,
  wakeAt: optional(epochMs),
  lockedBy: optional(key(WIDTHS.short)),
  lockedUntil: optional(epochMs),
  awaitingDecisionTaskId: optional(key(WIDTHS.stepId)),
  recoveryAttempts: optional(integer),
  tags: optional(tags),
  searchAttributes: optional(attributes),
  priority: optional(integer),
  namespace,
  origin: optional(key(WIDTHS.short)),
  createdAt: date,
  updatedAt: date,
};

const CHECKPOINT_FIELDS: Record<keyof StepCheckpointRow, Field> = {
  runId: key(WIDTHS.runId),
  seq: integer,
  name: key(WIDTHS.checkpointName),
  kind: key(WIDTHS.short),
  stepId: key(WIDTHS.stepId),
  status: key(WIDTHS.short),
  input: payload,
  output: payload,
  error: payload,
  events: payload,
  attempts: integer,
  workerGroup: optional(key(WIDTHS.short)),
  parallelGroup: optional(key(WIDTHS.short)),
  wakeAt: optional(epochMs),
  enqueuedAt: optional(date),
  startedAt: date,
  finishedAt: date,
};

const WAITER_FIELDS: Record<keyof SignalWaiterRow, Field> = {
  token: key(WIDTHS.token),
  runId: key(WIDTHS.runId),
  seq: integer,
  parallelGroup: optional(key(WIDTHS.short)),
};

/** Columns that a patch cannot clear: an `undefined` for them says nothing. */
const MANDATORY_IN_PATCH = new Set(['createdAt', 'updatedAt', 'workflow', 'workflowVersion', 'status']);

/** Every column of a new run, in the table's order. */
export function runParams(table: Table<WorkflowRunRow>, run: WorkflowRun): Param[] {
  return params(table, RUN_FIELDS, run, 'run');
}

/** Every column of a checkpoint, in the table's order: what the checkpoint lacks becomes NULL. */
export function checkpointParams(table: Table<StepCheckpointRow>, checkpoint: StepCheckpoint): Param[] {
  return params(table, CHECKPOINT_FIELDS, checkpoint, 'checkpoint');
}

/** Every column of a waiter, in the table's order. */
export function waiterParams(table: Table<SignalWaiterRow>, waiter: SignalWaiter): Param[] {
  return params(table, WAITER_FIELDS, waiter, 'waiter');
}

/** The columns a patch sets: keys that are present, `undefined` clearing the field. */
export function patchParams(
  table: Table<WorkflowRunRow>,
  patch: Partial<WorkflowRun>,
): { columns: string[]; params: Param[] } {
  const columns: string[] = [];
  const values: Param[] = [];
  for (const property of table.properties) {
    if (property === 'id' || !Object.hasOwn(patch, property)) continue;
    const value = patch[property as keyof WorkflowRun];
    if (value === undefined && MANDATORY_IN_PATCH.has(property)) continue;
    columns.push(table.column(property));
    values.push(param(table, RUN_FIELDS, property, value, 'run'));
  }
  return { columns, params: values };
}

export function toRun(row: WorkflowRunRow): WorkflowRun {
  return row as WorkflowRun;
}

/** Rows of adapters that had no `enqueuedAt` read as having started when they were queued. */
export function toCheckpoint(row: StepCheckpointRow): StepCheckpoint {
  // As it is, be it a time or an accessor that throws.
  const startedAt = Object.getOwnPropertyDescriptor(row, 'startedAt');
  if (startedAt && !Object.hasOwn(row, 'enqueuedAt')) Object.defineProperty(row, 'enqueuedAt', startedAt);
  return row as StepCheckpoint;
}

export function toWaiter(row: SignalWaiterRow): SignalWaiter {
  return row as SignalWaiter;
}

/**
 * The side table's rows of a run's attributes, in key order. Numbers go to `numValue`, strings and booleans to
 * `strValue`; anything else lives in the run's JSON alone.
 */
export function attributeRows(runId: string, attributes: SearchAttributes | undefined | null): RunAttributeRow[] {
  return attributeEntries(attributes ?? {}, 'run.searchAttributes').map(([name, value]) => ({
    runId,
    key: name,
    strValue: typeof value === 'number' ? null : String(value),
    numValue: typeof value === 'number' ? value : null,
  }));
}

function attributeEntries(value: unknown, field: string): [string, string | number | boolean][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DurableInputError('DURABLE_INVALID_PAYLOAD', field, `must be an object, got ${describe(value)}`);
  }
  const indexed: [string, string | number | boolean][] = [];
  for (const [name, entry] of Object.entries(value)) {
    if (typeof entry !== 'string' && typeof entry !== 'boolean' && !Number.isFinite(entry)) continue;
    checkText(name, `a key of ${field}`, WIDTHS.short);
    if (typeof entry === 'string') checkText(entry, `${field}.${name}`);
    indexed.push([name, entry]);
  }
  return indexed.sort(([a], [b]) => (a < b ? -1 : 1));
}

function params<Shape extends object>(
  table: Table<Shape>,
  fields: Record<keyof Shape, Field>,
  value: object,
  what: string,
): Param[] {
  return table.properties.map((property) =>
    param(table, fields, property, (value as Record<string, unknown>)[property], what),
  );
}

function param<Shape extends object>(
  table: Table<Shape>,
  fields: Record<keyof Shape, Field>,
  property: keyof Shape & string,
  value: unknown,
  what: string,
): Param {
  const field = `${what}.${property}`;
  return fields[property](value, field, (checked) => table.encode(property, checked, field));
}
