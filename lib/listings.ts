import { checkCount, checkEpochMs, checkText } from './limits';
import { toRun } from './rows';
import { RunFilter } from './run-query';
import { all, type Condition, type Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import type { RunFacet, RunFacetQuery, RunQuery, RunStatus, WorkflowRun } from './types';

/** Statements that read many runs: the engine's poll scans and the queries of operators. */
export class Listings {
  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {}

  /** Runs that were being executed or cancelled, leased or not; the oldest first. */
  incomplete(sql: Sql, namespace?: string): Promise<WorkflowRun[]> {
    return this.scan(sql, this.status('running', 'cancelling'), namespace, this.oldestFirst(sql));
  }

  /** At most `limit` runs nobody has picked up yet; the oldest first. */
  async pending(sql: Sql, limit: number, namespace?: string): Promise<WorkflowRun[]> {
    checkCount(limit, 'limit');
    if (namespace !== undefined) checkText(namespace, 'namespace');
    if (limit === 0) return [];
    return this.scan(sql, this.status('pending'), namespace, `${this.oldestFirst(sql)} limit ?`, [limit]);
  }

  /** Suspended runs whose timer is due at `nowMs`; the longest due first. */
  due(sql: Sql, nowMs: number, namespace?: string): Promise<WorkflowRun[]> {
    checkEpochMs(nowMs, 'nowMs');
    const { runs } = this.tables;
    const wakeAt = runs.column('wakeAt');
    const suspended = this.status('suspended');
    const due = {
      text: `${suspended.text} and ${wakeAt} <= ?`,
      // Rounded down: a timer that ends within this millisecond is not due yet.
      params: [...suspended.params, runs.encode('wakeAt', Math.floor(nowMs))],
    };
    return this.scan(sql, due, namespace, ` order by ${wakeAt}, ${this.id(sql)}`);
  }

  /** The runs a query matches, newest first, ties by descending id. */
  async matching(sql: Sql, query: RunQuery): Promise<WorkflowRun[]> {
    if (query.limit !== undefined) checkCount(query.limit, 'query.limit');
    if (query.offset !== undefined) checkCount(query.offset, 'query.offset');
    const conditions = new RunFilter(this.tables, sql.dialect).conditions(query);
    if (conditions === null || query.limit === 0) return [];
    const { runs } = this.tables;
    const page = sql.dialect.page(query.limit, query.offset ?? 0);
    const newestFirst = ` order by ${runs.column('createdAt')} desc, ${this.id(sql)} desc`;
    return this.scan(sql, all(conditions), undefined, newestFirst + page.text, page.params);
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

  private async scan(
    sql: Sql,
    where: Condition,
    namespace: string | undefined,
    tail: string,
    tailParams: readonly Param[] = [],
  ): Promise<WorkflowRun[]> {
    const { runs } = this.tables;
    if (namespace !== undefined) checkText(namespace, 'namespace');
    const inNamespace = namespace === undefined ? '' : ` and ${runs.column('namespace')} = ?`;
    const scope = this.scope.runs();
    const rows = await sql.rows(
      `select ${runs.selection} from ${runs.name} where ${where.text}${inNamespace}${scope.text}${tail}`,
      [...where.params, ...(namespace === undefined ? [] : [namespace]), ...scope.params, ...tailParams],
    );
    return rows.map((row) => toRun(runs.decode(row)));
  }

  private status(...statuses: RunStatus[]): Condition {
    const column = this.tables.runs.column('status');
    if (statuses.length === 1) return { text: `${column} = ?`, params: statuses };
    return { text: `${column} in (${statuses.map(() => '?').join(', ')})`, params: statuses };
  }

  private oldestFirst(sql: Sql): string {
    return ` order by ${this.tables.runs.column('createdAt')}, ${this.id(sql)}`;
  }

  private id(sql: Sql): string {
    return sql.dialect.bytewise(this.tables.runs.column('id'));
  }
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
