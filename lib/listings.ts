import type { Dialect } from './dialect';
import type { DurableRowError } from './errors';
import { checkCount, checkEpochMs, checkText } from './limits';
import type { Question } from './questions';
import { toRun } from './rows';
import { RunFilter } from './run-query';
import { all, before, type Condition, type Scope } from './scope';
import type { Row, Sql } from './session';
import type { Tables } from './tables';
import type { RunFacet, RunFacetQuery, RunQuery, RunStatus, WorkflowRun } from './types';
import { beyondUnreadable, unreadableRun } from './unreadable';

/** Asks a question of the database. */
export type Ask = (question: Question) => Promise<readonly Row[]>;

/** Selects of many runs: the engine's poll scans and the queries of operators. */
export class Listings {
  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {}

  /** Runs that were being executed or cancelled, leased or not; the oldest first. */
  incomplete(dialect: Dialect, namespace?: string): Question {
    return this.select(this.status('running', 'cancelling'), namespace, this.oldestFirst(dialect));
  }

  /**
   * At most `limit` runs nobody has picked up yet that can be read; the oldest first. A backlog is read as far as the limit
   * reaches, and as much further as there are runs in it that cannot be read: nothing waits behind those.
   */
  async pending(ask: Ask, dialect: Dialect, limit: number, namespace?: string): Promise<WorkflowRun[]> {
    checkCount(limit, 'limit');
    const pending = this.within(this.status('pending'), namespace);
    if (limit === 0) return [];
    return beyondUnreadable(
      limit,
      (count) => this.backlog(ask, dialect, pending, count),
      (rows) => this.readable(rows).sort(byAge),
    );
  }

  private async backlog(ask: Ask, dialect: Dialect, pending: Condition, limit: number): Promise<readonly Row[]> {
    const { runs } = this.tables;
    if (dialect.ordersById) return ask(this.oldest(dialect, pending, limit));
    // Seldom more than the limit: then these are all, whatever order they are found in.
    const few = await ask({
      text: `select ${runs.selection} from ${runs.name} where ${pending.text} limit ?`,
      params: [...pending.params, limit],
    });
    if (few.length < limit) return few;
    const reached = all([pending, ...(await this.reached(ask, pending, limit))]);
    return ask(this.oldest(dialect, reached, limit));
  }

  private oldest(dialect: Dialect, { text, params }: Condition, limit: number): Question {
    const { runs } = this.tables;
    return {
      text: `select ${runs.selection} from ${runs.name} where ${text}${this.oldestFirst(dialect)} limit ?`,
      params: [...params, limit],
    };
  }

  /** Not younger than the run a limit ends with, if there are so many. Asks an index by itself: no run is read for it. */
  private async reached(ask: Ask, { text, params }: Condition, limit: number): Promise<Condition[]> {
    const { runs } = this.tables;
    const createdAt = runs.column('createdAt');
    const [last] = await ask({
      text: `select ${runs.select('createdAt')} from ${runs.name} where ${text} order by ${createdAt} limit 1 offset ?`,
      params: [...params, limit - 1],
    });
    const [time] = runs.decodeReadable(last ? [last] : []);
    return time ? [before(this.tables, createdAt, time.createdAt.getTime() + 1)] : [];
  }

  /** Suspended runs whose timer is due at `nowMs`; the longest due first. */
  due(dialect: Dialect, nowMs: number, namespace?: string): Question {
    checkEpochMs(nowMs, 'nowMs');
    const { runs } = this.tables;
    const wakeAt = runs.column('wakeAt');
    const suspended = this.status('suspended');
    const due = {
      text: `${suspended.text} and ${wakeAt} <= ?`,
      // Rounded down: a timer that ends within this millisecond is not due yet.
      params: [...suspended.params, runs.encode('wakeAt', Math.floor(nowMs))],
    };
    return this.select(due, namespace, ` order by ${wakeAt}, ${this.id(dialect)}`);
  }

  /** The runs a query matches, newest first, ties by descending id. `null`: nothing can match. */
  matching(dialect: Dialect, query: RunQuery): Question | null {
    const { limit, offset = 0 } = query;
    if (limit !== undefined) checkCount(limit, 'query.limit');
    checkCount(offset, 'query.offset');
    const conditions = new RunFilter(this.tables, dialect).conditions(query);
    if (conditions === null || limit === 0) return null;
    const { runs } = this.tables;
    const { text, params } = this.within(all(conditions), undefined);
    const newestFirst = ` order by ${runs.column('createdAt')} desc, ${this.id(dialect)} desc`;
    const page = dialect.page(limit, offset);
    const paged = `from ${runs.name} where ${text}${newestFirst}${page.text}`;
    const id = runs.column('id');
    const late = `from (select ${id} as durable_id ${paged}) as page join ${runs.name} on ${id} = page.durable_id${newestFirst}`;
    const source = dialect.readsPagesLate && offset > 0 ? late : paged;
    return { text: `select ${runs.selection} ${source}`, params: [...params, ...page.params] };
  }

  /** The runs of an answer that can be read: what is to be executed has to be as it was stored. */
  readable(rows: readonly Row[]): WorkflowRun[] {
    return this.tables.runs.decodeReadable(rows).map(toRun);
  }

  /** All runs of an answer: whoever looks for a run, or counts those in flight, has to see one that cannot be read. */
  all(rows: readonly Row[]): WorkflowRun[] {
    return rows.map((row) => {
      const errors: DurableRowError[] = [];
      const run = toRun(this.tables.runs.decode(row, (error) => errors.push(error)));
      return errors[0] ? unreadableRun(run, errors[0]) : run;
    });
  }

  /** Counts per status and origin over everything a query matches. */
  async facets(sql: Sql, query: RunFacetQuery): Promise<RunFacet[]> {
    const conditions = new RunFilter(this.tables, sql.dialect).conditions(query);
    if (conditions === null) return [];
    const { runs } = this.tables;
    const [status, origin] = [runs.column('status'), runs.column('origin')];
    const where = all(conditions);
    const scope = this.scope.runs();
    const rows = await sql.rows(
      `select ${status} as status, ${origin} as origin, count(*) as total from ${runs.name} ` +
        `where ${where.text}${scope.text} group by ${status}, ${origin}`,
      [...where.params, ...scope.params],
    );
    return mergeBlankOrigins(
      rows.map((row) => ({
        status: row.status as RunStatus,
        origin: (row.origin as string | null) ?? null,
        count: Number(row.total),
      })),
    );
  }

  private select(where: Condition, namespace: string | undefined, order: string): Question {
    const { runs } = this.tables;
    const { text, params } = this.within(where, namespace);
    return { text: `select ${runs.selection} from ${runs.name} where ${text}${order}`, params };
  }

  /** A condition confined to a namespace asked for and to the store's own. */
  private within(where: Condition, namespace: string | undefined): Condition {
    if (namespace !== undefined) checkText(namespace, 'namespace');
    const asked = namespace === undefined ? [] : [namespace];
    const inNamespace = asked.map(() => ` and ${this.tables.runs.column('namespace')} = ?`).join('');
    const scope = this.scope.runs();
    return { text: where.text + inNamespace + scope.text, params: [...where.params, ...asked, ...scope.params] };
  }

  private status(...statuses: RunStatus[]): Condition {
    const column = this.tables.runs.column('status');
    if (statuses.length === 1) return { text: `${column} = ?`, params: statuses };
    return { text: `${column} in (${statuses.map(() => '?').join(', ')})`, params: statuses };
  }

  private oldestFirst(dialect: Dialect): string {
    return ` order by ${this.tables.runs.column('createdAt')}, ${this.id(dialect)}`;
  }

  private id(dialect: Dialect): string {
    return dialect.bytewise(this.tables.runs.column('id'));
  }
}

/** Oldest first, ties by id in code point order, as the databases have it. */
function byAge(a: WorkflowRun, b: WorkflowRun): number {
  return a.createdAt.getTime() - b.createdAt.getTime() || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));
}

/** A blank origin counts as none. */
function mergeBlankOrigins(facets: readonly RunFacet[]): RunFacet[] {
  const merged = new Map<string, RunFacet>();
  for (const facet of facets) {
    const origin = facet.origin?.trim() ? facet.origin : null;
    const cell = JSON.stringify([facet.status, origin]);
    merged.set(cell, { ...facet, origin, count: facet.count + (merged.get(cell)?.count ?? 0) });
  }
  return [...merged.values()];
}
