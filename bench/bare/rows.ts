import type { StepCheckpoint, WorkflowRun } from '@dudousxd/nestjs-durable-core';
import type { DatabaseName } from '../options';
import type { Row, Value } from './drivers';

type Kind = 'plain' | 'json' | 'date' | 'ms';
export type Columns = readonly (readonly [property: string, column: string, kind: Kind])[];

const snake = (property: string) => property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function columns(kinds: Record<string, Kind>): Columns {
  return Object.entries(kinds).map(([property, kind]) => [property, snake(property), kind]);
}

export const RUN_COLUMNS = columns({
  id: 'plain',
  workflow: 'plain',
  workflowVersion: 'plain',
  status: 'plain',
  input: 'json',
  output: 'json',
  error: 'json',
  wakeAt: 'ms',
  lockedBy: 'plain',
  lockedUntil: 'ms',
  awaitingDecisionTaskId: 'plain',
  recoveryAttempts: 'plain',
  tags: 'json',
  searchAttributes: 'json',
  priority: 'plain',
  namespace: 'plain',
  createdAt: 'date',
  updatedAt: 'date',
});

export const CHECKPOINT_COLUMNS = columns({
  runId: 'plain',
  seq: 'plain',
  name: 'plain',
  kind: 'plain',
  stepId: 'plain',
  status: 'plain',
  input: 'json',
  output: 'json',
  error: 'json',
  events: 'json',
  attempts: 'plain',
  workerGroup: 'plain',
  parallelGroup: 'plain',
  wakeAt: 'ms',
  enqueuedAt: 'date',
  startedAt: 'date',
  finishedAt: 'date',
});

/** An instant as the column takes it. */
export function instant(ms: number, database: DatabaseName): Value {
  if (database === 'sqlite') return Math.ceil(ms);
  const iso = new Date(ms).toISOString();
  return database === 'postgresql' ? iso : iso.slice(0, 23).replace('T', ' ');
}

export function encode(value: unknown, kind: Kind, database: DatabaseName): Value {
  if (value === undefined || (value === null && kind !== 'json')) return null;
  switch (kind) {
    case 'plain':
      return value as Value;
    case 'json':
      return JSON.stringify(value);
    case 'date':
      return instant((value as Date).getTime(), database);
    case 'ms':
      return instant(value as number, database);
  }
}

function decodeValue(raw: unknown, kind: Kind): unknown {
  switch (kind) {
    case 'plain':
      return raw;
    case 'json':
      // `pg` has parsed it already.
      return typeof raw === 'string' ? JSON.parse(raw) : raw;
    case 'date':
      return raw instanceof Date ? raw : new Date(raw as number);
    case 'ms':
      return raw instanceof Date ? raw.getTime() : raw;
  }
}

function decode(row: Row, table: Columns): Row {
  const object: Row = {};
  for (const [property, column, kind] of table) {
    const raw = row[column];
    if (raw !== null && raw !== undefined) object[property] = decodeValue(raw, kind);
  }
  return object;
}

export function toRun(row: Row): WorkflowRun {
  return decode(row, RUN_COLUMNS) as unknown as WorkflowRun;
}

export function toCheckpoint(row: Row): StepCheckpoint {
  return decode(row, CHECKPOINT_COLUMNS) as unknown as StepCheckpoint;
}
