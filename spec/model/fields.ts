import type { SearchAttributes } from '../../lib';
import { instantOf, jsonOf, keyOf, type Range, Refused, WIDTH } from './values';

/** A kept row: payloads as JSON text, instants as epoch milliseconds, absent fields left out. */
export type Kept = Readonly<Record<string, string | number | undefined>>;

type Field = (value: never, range: Range) => string | number | undefined;

const text = (width: (typeof WIDTH)[keyof typeof WIDTH]) => (value: string) => keyOf(value, width);
const instant = (value: number, range: Range) => instantOf(value, range);
const date = (value: Date, range: Range) => instantOf(value.getTime(), range);
const maybe =
  (field: Field): Field =>
  (value, range) =>
    value === undefined ? undefined : field(value, range);
const integer = (value: number) => {
  if (!Number.isInteger(value) || Math.abs(value) > 2_147_483_647) throw new Refused();
  return value + 0;
};
const tags = (value: string[]) => jsonOf(value.map((tag) => keyOf(tag)));

export const RUN: Record<string, Field> = {
  id: text(WIDTH.runId),
  workflow: text(WIDTH.short),
  workflowVersion: text(WIDTH.short),
  status: text(WIDTH.short),
  input: jsonOf,
  output: jsonOf,
  error: jsonOf,
  wakeAt: maybe(instant),
  lockedBy: maybe(text(WIDTH.short)),
  lockedUntil: maybe(instant),
  awaitingDecisionTaskId: maybe(text(WIDTH.stepId)),
  recoveryAttempts: maybe(integer),
  tags: maybe(tags),
  searchAttributes: maybe((value: SearchAttributes) => {
    indexed(value);
    return jsonOf(value);
  }),
  namespace: (value?: string) => keyOf(value ?? 'default', WIDTH.short),
  priority: maybe(integer),
  origin: maybe(text(WIDTH.short)),
  createdAt: date,
  updatedAt: date,
};

export const CHECKPOINT: Record<string, Field> = {
  runId: text(WIDTH.runId),
  seq: integer,
  name: text(WIDTH.checkpointName),
  kind: text(WIDTH.short),
  stepId: text(WIDTH.stepId),
  status: text(WIDTH.short),
  input: jsonOf,
  output: jsonOf,
  error: jsonOf,
  events: jsonOf,
  attempts: integer,
  workerGroup: maybe(text(WIDTH.short)),
  parallelGroup: maybe(text(WIDTH.short)),
  wakeAt: maybe(instant),
  enqueuedAt: date,
  startedAt: date,
  finishedAt: date,
};

/** The attributes a query can find: finite numbers, strings and booleans, the latter as strings. */
export function indexed(attributes: SearchAttributes | undefined): ReadonlyMap<string, string | number> {
  const found = new Map<string, string | number>();
  for (const [name, value] of Object.entries(attributes ?? {}) as [string, unknown][]) {
    if (typeof value === 'number' ? !Number.isFinite(value) : typeof value !== 'string' && typeof value !== 'boolean')
      continue;
    keyOf(name, WIDTH.short);
    found.set(name, typeof value === 'number' ? value : keyOf(String(value)));
  }
  return found;
}

/** The kept form of the given fields of a row. */
export function kept(fields: Record<string, Field>, row: object, range: Range, names = Object.keys(fields)): Kept {
  const values = row as Record<string, never>;
  return Object.fromEntries(names.map((name) => [name, (fields[name] as Field)(values[name] as never, range)]));
}

/** The same for what a call is given, one row for all orders of a burst. */
export function keptOnce(fields: Record<string, Field>, row: object, range: Range): Kept {
  const known = ROWS.get(row);
  if (known?.range === range) return known.kept;
  const made = kept(fields, row, range);
  ROWS.set(row, { range, kept: made });
  return made;
}

const ROWS = new WeakMap<object, { range: Range; kept: Kept }>();

const PAYLOADS = new Set(['input', 'output', 'error', 'events', 'tags', 'searchAttributes', 'payload']);

/** A row as text by which results are compared: payloads in their own key order, an absent payload unlike a `null`. */
export function shown(row: Kept): string {
  const known = TEXTS.get(row);
  if (known !== undefined) return known;
  const names = Object.keys(row).filter((name) => row[name] !== undefined);
  const text = JSON.stringify(names.sort().map((name) => [name, row[name]]));
  TEXTS.set(row, text);
  return text;
}

/** Rows are never changed, and a burst shows each once for every order of its calls. */
const TEXTS = new WeakMap<Kept, string>();

/** The same text of what a store returned. */
export function shownResult(row: object): string {
  const entries = Object.entries(row).map(([name, value]) => {
    if (PAYLOADS.has(name)) return [name, JSON.stringify(value)];
    return [name, value instanceof Date ? value.getTime() : value];
  });
  return shown(Object.fromEntries(entries) as Kept);
}
