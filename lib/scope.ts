import type { Param } from './session';
import type { Tables } from './tables';

/** A piece of a `where` clause and its parameters. */
export interface Condition {
  readonly text: string;
  readonly params: readonly Param[];
}

/** A condition to append that holds for every row. */
export const UNRESTRICTED: Condition = { text: '', params: [] };

/** A table whose rows belong to a run. */
interface OwnedTable {
  readonly name: string;
  column(property: 'runId'): string;
}

/** Join conditions with `and`; none is always true. */
export function all(conditions: readonly Condition[]): Condition {
  return {
    text: conditions.length === 0 ? '1 = 1' : conditions.map(({ text }) => text).join(' and '),
    params: conditions.flatMap(({ params }) => params),
  };
}

/** Join conditions with `or`, in nested groups: SQLite takes no expression that is more than 1,000 operators deep. */
export function any(conditions: readonly Condition[]): Condition {
  const groups =
    conditions.length <= SIDE_BY_SIDE
      ? conditions
      : chunks(conditions, Math.ceil(conditions.length / SIDE_BY_SIDE)).map(any);
  return {
    text: `(${groups.map(({ text }) => `(${text})`).join(' or ')})`,
    params: groups.flatMap(({ params }) => params),
  };
}

const SIDE_BY_SIDE = 100;

function chunks(conditions: readonly Condition[], size: number): Condition[][] {
  return Array.from({ length: Math.ceil(conditions.length / size) }, (_, n) =>
    conditions.slice(n * size, (n + 1) * size),
  );
}

/** Conditions to append, one after the other. */
export function joined(conditions: readonly Condition[]): Condition {
  return {
    text: conditions.map(({ text }) => text).join(''),
    params: conditions.flatMap(({ params }) => params),
  };
}

/** An instant, in epoch ms, to compare times of runs with: in the form of a column of epoch ms, which holds the ends of time too. */
export function instantOf({ runs }: Tables, ms: number): Param {
  return runs.encode('wakeAt', ms);
}

/** Runs whose time in a column is before an instant, in epoch ms. */
export function before(tables: Tables, column: string, ms: number): Condition {
  const instant = instantOf(tables, ms);
  // What lies beyond the last instant a column can hold is stored as that one, and so is this.
  const isBeyond = ms > 0 && instant === instantOf(tables, ms - 1);
  return { text: `${column} ${isBeyond ? '<=' : '<'} ?`, params: [instant] };
}

/** Which namespace a store is confined to, as conditions to append; an unconfined store appends nothing. */
export class Scope {
  constructor(
    private readonly tables: Tables,
    readonly namespace?: string,
  ) {}

  /** The fields of a run, which belongs to the store's own namespace when they name none. */
  named<Fields extends { namespace?: string | undefined }>(fields: Fields): Fields {
    return this.namespace === undefined ? fields : { ...fields, namespace: fields.namespace ?? this.namespace };
  }

  /** On the run table itself. */
  runs(): Condition {
    if (this.namespace === undefined) return UNRESTRICTED;
    return { text: ` and ${this.tables.runs.column('namespace')} = ?`, params: [this.namespace] };
  }

  /** On a table whose rows belong to a run: only rows of runs in the namespace. */
  ownedRows(table: OwnedTable): Condition {
    if (this.namespace === undefined) return UNRESTRICTED;
    return {
      text: ` and exists (${this.runOf(`${table.name}.${table.column('runId')}`, '=')})`,
      params: [this.namespace],
    };
  }

  /** On a new row for `runId`: not one of a run in another namespace. A run that is not there yet is nobody else's. */
  newRow(runId: string): Condition {
    if (this.namespace === undefined) return UNRESTRICTED;
    return {
      text: ` from (select 1 as one) as one where not exists (${this.runOf('?', '<>')})`,
      params: [runId, this.namespace],
    };
  }

  /** On a row that a new one would replace: not one of a run in another namespace. Without a leading `and`. */
  replacedRow(table: OwnedTable): Condition {
    if (this.namespace === undefined) return UNRESTRICTED;
    const runId = `${table.name}.${table.column('runId')}`;
    return { text: `not exists (${this.runOf(runId, '<>')})`, params: [this.namespace] };
  }

  private runOf(runId: string, comparison: '=' | '<>'): string {
    const { runs } = this.tables;
    const id = `owner.${runs.column('id')}`;
    return `select 1 from ${runs.name} as owner where ${id} = ${runId} and owner.${runs.column('namespace')} ${comparison} ?`;
  }
}
