import type { Dialect } from './dialect';
import { DurableInputError } from './errors';
import { checkText, describe } from './limits';
import { all, any, type Condition } from './scope';
import type { Param } from './session';
import type { Tables } from './tables';
import { repeated } from './texts';
import type { AttributeFilter, RunQuery } from './types';

const COMPARATORS: Readonly<Record<string, string>> = { eq: '=', ne: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' };

/** What a comparison of whole texts implies for their leading characters. */
const LEADING: Readonly<Record<string, string>> = { eq: '=', gt: '>=', gte: '>=', lt: '<=', lte: '<=' };

/** Turns a {@link RunQuery} into conditions on the run table. */
export class RunFilter {
  constructor(
    private readonly tables: Tables,
    private readonly dialect: Dialect,
  ) {}

  /** The conditions that all must hold, or `null` when nothing can match. */
  conditions(query: RunQuery): Condition[] | null {
    // All of them are built before any counts: what is refused does not depend on what else is asked.
    const parts = [...this.parts(query)];
    return parts.some((part) => part === NOTHING_MATCHES) ? null : (parts as Condition[]);
  }

  private *parts(query: RunQuery): Generator<Condition | typeof NOTHING_MATCHES> {
    // The engine's reference takes an empty workflow, status or tag for an absent one.
    if (query.workflow) yield this.equals('workflow', query.workflow);
    if (query.status) yield this.equals('status', query.status);
    if (query.tag) yield this.tag(query.tag);
    if (query.namespace !== undefined) yield this.equals('namespace', query.namespace);
    if (query.statuses) yield this.anyOf('status', query.statuses, 'query.statuses');
    if (query.workflows) yield this.anyOf('workflow', query.workflows, 'query.workflows');
    if (query.namespaces) yield this.anyOf('namespace', query.namespaces, 'query.namespaces');
    if (query.tags) yield this.anyTag(query.tags);
    if (query.origin !== undefined) yield this.origins([query.origin]);
    if (query.origins) yield this.origins(query.origins);
    for (const [key, filters] of byKey(query.attributes ?? [])) yield this.attribute(key, filters);
  }

  private equals(property: 'workflow' | 'status' | 'namespace', value: string): Condition {
    checkText(value, `query.${property}`);
    return { text: `${this.tables.runs.column(property)} = ?`, params: [value] };
  }

  private anyOf(property: 'workflow' | 'status' | 'namespace' | 'origin', values: readonly string[], field: string) {
    if (values.length === 0) return NOTHING_MATCHES;
    for (const value of values) checkText(value, field);
    const placeholders = values.map(() => '?').join(', ');
    return { text: `${this.tables.runs.column(property)} in (${placeholders})`, params: values };
  }

  private origins(values: readonly (string | null)[]): Condition | typeof NOTHING_MATCHES {
    const named = values.filter((value) => value !== null);
    const conditions: Condition[] = [];
    if (named.length > 0) conditions.push(this.anyOf('origin', named, 'query.origin') as Condition);
    if (named.length < values.length)
      conditions.push({ text: `${this.tables.runs.column('origin')} is null`, params: [] });
    return anyHolds(conditions);
  }

  private tag(tag: string): Condition {
    checkText(tag, 'query.tag');
    return { text: this.dialect.hasTag(this.tables.runs.column('tags')), params: [this.dialect.tagOperand(tag)] };
  }

  private anyTag(tags: readonly string[]): Condition | typeof NOTHING_MATCHES {
    const conditions = tags.map((tag) => this.tag(tag));
    if (conditions.length === 0) return NOTHING_MATCHES;
    const text = this.dialect.hasAnyTag?.(this.tables.runs.column('tags'), tags.length);
    return text ? { text, params: conditions.flatMap(({ params }) => params) } : any(conditions);
  }

  /** A run has one value under a key, so that all filters on a key are about one row: a range is one stretch of the index. */
  private attribute(key: string, filters: readonly AttributeFilter[]): Condition | typeof NOTHING_MATCHES {
    checkText(key, 'query.attributes.key');
    const values: Condition[] = [];
    for (const filter of filters) {
      const value = this.attributeValue(filter);
      if (value === NOTHING_MATCHES) return NOTHING_MATCHES;
      values.push(value);
    }
    return this.hasAttribute(key, all(values));
  }

  private attributeValue(filter: AttributeFilter): Condition | typeof NOTHING_MATCHES {
    if (filter.op !== 'in') return this.comparison(filter.op, filter.value);
    if (!Array.isArray(filter.value)) {
      throw new DurableInputError('DURABLE_INVALID_QUERY', 'query.attributes.value', 'must be an array for "in"');
    }
    return this.oneOf(filter.value);
  }

  /** The value's type chooses the column; rows of the other type have NULL there and never match. */
  private comparison(op: string, value: string | number | boolean): Condition {
    const comparator = Object.hasOwn(COMPARATORS, op) ? COMPARATORS[op] : undefined;
    if (comparator === undefined) {
      throw new DurableInputError(
        'DURABLE_INVALID_QUERY',
        'query.attributes.op',
        'must be one of eq, ne, gt, gte, lt, lte, in',
      );
    }
    if (typeof value === 'number') return this.numeric(comparator, value);
    if (typeof value !== 'string' && typeof value !== 'boolean') {
      const problem = `must be a string, number or boolean, got ${describe(value)}`;
      throw new DurableInputError('DURABLE_INVALID_QUERY', 'query.attributes.value', problem);
    }
    return this.textual(op, comparator, String(value));
  }

  /** Equality with any of the values, as one list per column. */
  private oneOf(values: readonly (string | number | boolean)[]): Condition | typeof NOTHING_MATCHES {
    for (const value of values) this.comparison('eq', value);
    const numbers = values.filter((value) => typeof value === 'number');
    const texts = values.filter((value) => typeof value !== 'number').map(String);
    const lists: Condition[] = [];
    if (numbers.length > 0) lists.push(this.listed(`found.${this.tables.attributes.column('numValue')}`, numbers));
    if (texts.length > 0) lists.push(this.textListed(texts));
    return anyHolds(lists);
  }

  private textListed(values: readonly string[]): Condition {
    const column = `found.${this.tables.attributes.column('strValue')}`;
    const whole = this.listed(this.dialect.bytewise(column), values);
    const leading = this.dialect.leadingTexts?.(column, values.length);
    return leading ? { text: `${leading} and ${whole.text}`, params: [...values, ...whole.params] } : whole;
  }

  private listed(column: string, values: readonly Param[]): Condition {
    return { text: `${column} in (${repeated('?', values.length)})`, params: values };
  }

  private numeric(comparator: string, value: number): Condition {
    if (!Number.isFinite(value)) {
      throw new DurableInputError('DURABLE_INVALID_QUERY', 'query.attributes.value', 'must be a finite number');
    }
    return { text: `found.${this.tables.attributes.column('numValue')} ${comparator} ?`, params: [value] };
  }

  private textual(op: string, comparator: string, value: string): Condition {
    checkText(value, 'query.attributes.value');
    const column = `found.${this.tables.attributes.column('strValue')}`;
    const whole = `${this.dialect.bytewise(column)} ${comparator} ?`;
    const operator = LEADING[op];
    const leading = operator && this.dialect.leadingText(column, operator);
    return leading ? { text: `${leading} and ${whole}`, params: [value, value] } : { text: whole, params: [value] };
  }

  /** Not a correlated `exists`: SQLite would ask it of every run. */
  private hasAttribute(key: string, value: Condition): Condition {
    const { runs, attributes } = this.tables;
    const text = `select found.${attributes.column('runId')} from ${attributes.name} as found where found.${attributes.column('key')} = ?`;
    return { text: `${runs.column('id')} in (${text} and ${value.text})`, params: [key, ...value.params] };
  }
}

const NOTHING_MATCHES = Symbol('nothing matches');

function anyHolds(conditions: readonly Condition[]): Condition | typeof NOTHING_MATCHES {
  return conditions.length === 0 ? NOTHING_MATCHES : any(conditions);
}

function byKey(filters: readonly AttributeFilter[]): ReadonlyMap<string, AttributeFilter[]> {
  const keys = new Map<string, AttributeFilter[]>();
  for (const filter of filters) keys.set(filter.key, [...(keys.get(filter.key) ?? []), filter]);
  return keys;
}
