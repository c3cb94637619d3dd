import type { AttributeFilter, RunQuery } from '../../lib';
import { indexed, type Kept } from './fields';
import { by, byText, keyOf } from './values';

export type Run = Kept & { id: string; namespace: string; status: string; createdAt: number };

/** Refuse a query with texts that no column can hold. */
export function checkQuery(query: RunQuery): void {
  for (const text of [query.workflow, query.status, query.tag, query.namespace, query.origin]) {
    if (text !== undefined && text !== null) keyOf(text);
  }
  for (const texts of [query.statuses, query.workflows, query.namespaces, query.tags, query.origins]) {
    for (const text of texts ?? []) if (text !== null) keyOf(text);
  }
  for (const { key, value } of query.attributes ?? []) {
    keyOf(key);
    for (const one of [value].flat()) if (typeof one === 'string') keyOf(one);
  }
}

export const OLDEST_FIRST = by<Run>(
  ({ createdAt }) => createdAt,
  ({ id }) => id,
);

/** Whether a run is one the query asks for. */
export function matches(run: Run, query: RunQuery): boolean {
  const tags: string[] = run.tags === undefined ? [] : JSON.parse(run.tags as string);
  const origin = (run.origin as string | undefined) ?? null;
  const attributes = indexed(run.searchAttributes === undefined ? {} : JSON.parse(run.searchAttributes as string));
  const anyOf = <T>(wanted: readonly T[] | undefined, value: T) => wanted === undefined || wanted.includes(value);
  return (
    (!query.workflow || run.workflow === query.workflow) &&
    (!query.status || run.status === query.status) &&
    (!query.tag || tags.includes(query.tag)) &&
    (query.namespace === undefined || run.namespace === query.namespace) &&
    (query.origin === undefined || origin === query.origin) &&
    anyOf<string>(query.statuses, run.status) &&
    anyOf(query.workflows, run.workflow as string) &&
    anyOf(query.namespaces, run.namespace) &&
    anyOf(query.origins, origin) &&
    (query.tags === undefined || query.tags.some((tag) => tags.includes(tag))) &&
    (query.attributes ?? []).every((filter) => holds(attributes.get(filter.key), filter))
  );
}

/** The value's type selects which rows can match at all; a missing key never does. */
function holds(stored: string | number | undefined, filter: AttributeFilter): boolean {
  if (stored === undefined) return false;
  if (filter.op === 'in') return filter.value.some((value) => holds(stored, { key: filter.key, op: 'eq', value }));
  const wanted = typeof filter.value === 'number' ? filter.value : String(filter.value);
  if (typeof stored !== typeof wanted) return false;
  const order = typeof stored === 'string' ? byText(stored, wanted as string) : Math.sign(stored - (wanted as number));
  switch (filter.op) {
    case 'eq':
      return order === 0;
    case 'ne':
      return order !== 0;
    case 'gt':
      return order > 0;
    case 'gte':
      return order >= 0;
    case 'lt':
      return order < 0;
    case 'lte':
      return order <= 0;
  }
}
