import type { WorkflowRunRow } from '../schemas/workflow-run';
import type { BufferedSignals } from './buffered-signals';
import { durationMs } from './duration';
import { checkCount, checkEpochMs } from './limits';
import type { Runs } from './runs';
import { all, before, type Condition, instantOf, type Scope } from './scope';
import type { Param, Row, Sql } from './session';
import type { Tables } from './tables';
import { repeated } from './texts';
import { type RetentionPolicy, type RunStatus, TERMINAL_STATUSES } from './types';

/** One transaction of a prune: what its last try did, committed or not. */
export interface Batch {
  /** The runs it deleted. */
  ids: readonly string[];
  /** Whether it left out runs that it had been asked for. */
  isCut: boolean;
}

/** A transaction of a prune holds its locks, and its statements run, for no longer than this many rows take, or one run's. */
const MOST_RUNS = 1000;
const MOST_CHECKPOINTS = 10_000;

/** What may be pruned: runs of these statuses that are too old, or too many. */
export interface Bounds {
  readonly statuses: readonly RunStatus[];
  /** Runs last updated before this instant, in epoch ms. */
  readonly beforeMs?: number;
  /** Runs beyond this many, counted from the most recently updated. */
  readonly maxCount?: number;
}

/**
 * Statements that remove finished runs a policy no longer keeps. Whole milliseconds divide them: first the time up to which
 * an answer reaches is asked of each status by its index, then the answer itself, so that nothing beyond it is read. No
 * database puts the runs of several statuses in order without reading all of them, nor MySQL those of one and the same time.
 *
 * Runs finish, are queued again and are deleted between any two statements. A time read before is therefore only a hint of
 * how far the next statement looks: a hint that has grown old makes a prune delete less. What may be deleted is decided on
 * runs that are locked, and the number of those to keep is counted by the one statement that also finds where they end.
 */
export class Retention {
  private readonly id: string;
  private readonly at: string;
  private readonly ofAnyTime: Condition;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
    private readonly runs: Runs,
    private readonly buffered: BufferedSignals,
  ) {
    this.id = tables.runs.column('id');
    this.at = tables.runs.column('updatedAt');
    // A value that is no time, which SQLite puts behind all times, neither is old nor counts among the newest.
    const [first, last] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY].map((ms) => instantOf(tables, ms));
    this.ofAnyTime = { text: `${this.at} >= ? and ${this.at} <= ?`, params: [first as Param, last as Param] };
  }

  /**
   * Delete at most `limit` runs outside the bounds with everything that belongs to them, longest finished first, and fewer
   * when those are too many rows for one transaction. The rows are locked before they are chosen for good: a run requeued in
   * between stays. Needs a transaction. `batch` keeps what a try has deleted: when the answer to its commit is lost, the runs
   * tell whether it did.
   */
  async prune(sql: Sql, bounds: Bounds, limit: number, dropCompletions: boolean, batch: Batch): Promise<number> {
    const { runs } = this.tables;
    if (sql.inDoubt && batch.ids.length > 0 && (await this.countOf(sql, batch.ids)) === 0) return batch.ids.length;
    // A transaction that reads before it writes cannot get SQLite's write lock while another holds it.
    if (sql.dialect.writesFirst) await sql.run(`update ${runs.name} set ${this.id} = '' where 1 = 0`, []);
    const edgeMs = await this.edgeTime(sql, bounds);
    const untilMs = Math.max(
      bounds.beforeMs ?? Number.NEGATIVE_INFINITY,
      edgeMs === undefined ? Number.NEGATIVE_INFINITY : edgeMs + 1,
    );
    if (untilMs === Number.NEGATIVE_INFINITY) return 0;
    const oldest = await this.oldest(sql, bounds.statuses, untilMs, Math.min(limit, MOST_RUNS));
    const found = oldest.slice(0, await this.countWithin(sql, oldest));
    batch.isCut = found.length < oldest.length || (oldest.length === MOST_RUNS && limit > MOST_RUNS);
    const locked = await this.lock(sql, bounds.statuses, found);
    const ids = (await this.outside(sql, bounds, locked, edgeMs)).map(({ id }) => id);
    batch.ids = ids;
    if (ids.length === 0) return 0;
    const chosen = `${this.id} in (${repeated('?', ids.length)})`;
    const deleted = await sql.affected(`delete from ${runs.name} where ${chosen}`, ids);
    await this.runs.deleteOwned(sql, ids);
    if (dropCompletions) await this.buffered.dropCompletions(sql, ids);
    return deleted;
  }

  private async countOf(sql: Sql, ids: readonly string[]): Promise<number> {
    const { runs } = this.tables;
    const text = `select count(*) as total from ${runs.name} where ${this.id} in (${repeated('?', ids.length)})`;
    const [counted] = await sql.rows(text, ids);
    return Number(counted?.total);
  }

  /** How many of these runs, from the first on, one transaction deletes with their checkpoints: at least one. */
  private async countWithin(sql: Sql, found: readonly Row[]): Promise<number> {
    if (found.length <= 1) return found.length;
    const { runs, checkpoints } = this.tables;
    const [runId, seq] = [checkpoints.column('runId'), checkpoints.column('seq')];
    // Steps are numbered from 0 on, and the index gives the last one: nothing is counted.
    const last = `select max(${seq}) from ${checkpoints.name} where ${runId} = ${runs.name}.${this.id}`;
    const rows = await sql.rows(
      `select ${runs.select('id')}, (${last}) as last_seq from ${runs.name} where ${this.id} in (${repeated('?', found.length)})`,
      found.map(({ id }) => String(id)),
    );
    const lastOf = new Map(rows.map(({ id, last_seq }) => [String(id), Number(last_seq ?? -1)]));
    let total = 0;
    const firstBeyond = found.findIndex(({ id }, n) => {
      total += Math.max((lastOf.get(String(id)) ?? -1) + 1, 0);
      return n > 0 && total > MOST_CHECKPOINTS;
    });
    return firstBeyond < 0 ? found.length : firstBeyond;
  }

  /** About where the runs begin that are too many: the time of the youngest of them, in epoch ms. */
  private async edgeTime(sql: Sql, { statuses, maxCount }: Bounds): Promise<number | undefined> {
    return maxCount === undefined ? undefined : this.timeAt(sql, statuses, this.ofAnyTime, 'desc', maxCount);
  }

  /** Those of locked runs that are outside the bounds now. */
  private async outside(
    sql: Sql,
    { statuses, beforeMs = Number.NEGATIVE_INFINITY, maxCount }: Bounds,
    locked: readonly Finished[],
    edgeMs: number | undefined,
  ): Promise<readonly Finished[]> {
    const isOld = ({ atMs }: Finished) => atMs < beforeMs;
    if (maxCount === undefined || edgeMs === undefined || locked.every(isOld)) return locked.filter(isOld);
    const edge = await this.edge(sql, statuses, edgeMs, maxCount);
    return locked.filter((run) => isOld(run) || (edge !== undefined && byAge(run, edge) <= 0));
  }

  /**
   * The run at `position`, newest first, if it is not older than `sinceMs`. It is at this position of all runs of these
   * statuses: nothing that is older comes before it.
   */
  private async edge(sql: Sql, statuses: Statuses, sinceMs: number, position: number): Promise<Finished | undefined> {
    const newestFirst = `order by ${this.at} desc, ${sql.dialect.bytewise(this.id)} desc limit`;
    const since = all([this.since(sinceMs), this.ofAnyTime]);
    const runs = this.ofEach(statuses, since, ` ${newestFirst} ?`, [position + 1]);
    const [row] = await sql.rows(
      `select ${this.tables.runs.select('id', 'updatedAt')} from ${runs.text} ${newestFirst} 1 offset ?`,
      [...runs.params, position],
    );
    return row && this.finished(row);
  }

  /** The `limit` longest finished of the runs before an instant, ties by id. */
  private async oldest(sql: Sql, statuses: Statuses, untilMs: number, limit: number): Promise<Row[]> {
    const until = all([this.before(untilMs), this.ofAnyTime]);
    const last = await this.timeAt(sql, statuses, until, 'asc', limit - 1);
    const runs = this.ofEach(statuses, last === undefined ? until : all([until, this.before(last + 1)]));
    return sql.rows(
      `select ${this.tables.runs.select('id', 'updatedAt')} from ${runs.text} ` +
        `order by ${this.at}, ${sql.dialect.bytewise(this.id)} limit ?`,
      [...runs.params, limit],
    );
  }

  /** Lock runs and leave out those that are no longer as they were found. */
  private async lock(sql: Sql, statuses: Statuses, found: readonly Row[]): Promise<Finished[]> {
    if (found.length === 0) return [];
    const { runs } = this.tables;
    const asFound = new Map(found.map((row) => this.finished(row)).map(({ id, atMs }) => [id, atMs]));
    // By ids alone: asked for a status as well, MySQL may read the index of all runs that have it, and lock what it reads.
    const scope = this.scope.runs();
    const rows = await sql.rows(
      `select ${runs.select('id', 'updatedAt', 'status')} from ${runs.name} ` +
        `where ${this.id} in (${repeated('?', found.length)})${scope.text} order by ${this.id}${sql.dialect.forUpdate}`,
      [...asFound.keys(), ...scope.params],
    );
    return rows
      .filter(({ status }) => statuses.includes(status as RunStatus))
      .map((row) => this.finished(row))
      .filter(({ id, atMs }) => asFound.get(id) === atMs);
  }

  /** The time, in epoch ms, of the run at `position` of those a condition holds for; `undefined` when there are fewer. */
  private async timeAt(
    sql: Sql,
    statuses: Statuses,
    condition: Condition,
    direction: 'asc' | 'desc',
    position: number,
  ): Promise<number | undefined> {
    const inOrder = `order by ${this.at} ${direction} limit`;
    const runs = this.ofEach(statuses, condition, ` ${inOrder} ?`, [position + 1]);
    const [row] = await sql.rows(
      `select ${this.tables.runs.select('updatedAt')} from ${runs.text} ${inOrder} 1 offset ?`,
      [...runs.params, position],
    );
    return row && this.ms(row);
  }

  /** The ids and times of the runs of each status that a condition holds for, as a table expression. */
  private ofEach(statuses: Statuses, condition: Condition, tail = '', tailParams: readonly Param[] = []): Condition {
    const { runs } = this.tables;
    const parts = statuses.map((status, n) => {
      const where = all([this.inStatuses([status]), condition]);
      const text = `select ${this.id}, ${this.at} from ${runs.name} where ${where.text}${tail}`;
      return { text: `select * from (${text}) as status${n}`, params: [...where.params, ...tailParams] };
    });
    const text = `(${parts.map((part) => part.text).join(' union all ')}) as of_each`;
    return { text, params: parts.flatMap(({ params }) => params) };
  }

  private finished(row: Row): Finished {
    return { id: String(row.id), atMs: this.ms(row) };
  }

  private ms(row: Row): number {
    const { updatedAt } = this.tables.runs.decode(row, () => undefined) as Partial<WorkflowRunRow>;
    return updatedAt?.getTime() ?? Number.NaN;
  }

  private before(ms: number): Condition {
    return before(this.tables, this.at, ms);
  }

  private since(ms: number): Condition {
    return { text: `${this.at} >= ?`, params: [instantOf(this.tables, ms)] };
  }

  private inStatuses(statuses: Statuses): Condition {
    const scope = this.scope.runs();
    const text = `${this.tables.runs.column('status')} in (${repeated('?', statuses.length)})${scope.text}`;
    return { text, params: [...(statuses as readonly Param[]), ...scope.params] };
  }
}

/** A run and when it finished, in epoch ms. */
interface Finished {
  readonly id: string;
  readonly atMs: number;
}

/** Longest finished first, ties by id in code point order, as the databases have them. */
function byAge(a: Finished, b: Finished): number {
  return a.atMs - b.atMs || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));
}

type Statuses = readonly RunStatus[];

/**
 * What a policy prunes at `nowMs`, or `null` when it prunes nothing: no bound, or no terminal status.
 *
 * @throws DurableInputError for a duration or count that is none
 */
export function boundsOf(policy: RetentionPolicy, nowMs: number): Bounds | null {
  checkEpochMs(nowMs, 'nowMs');
  if (policy.maxCount !== undefined) checkCount(policy.maxCount, 'policy.maxCount');
  const age = policy.maxAge === undefined ? undefined : durationMs(policy.maxAge, 'policy.maxAge');
  const statuses = policy.statuses.filter((status) => TERMINAL_STATUSES.includes(status));
  if (statuses.length === 0 || (age === undefined && policy.maxCount === undefined)) return null;
  return {
    statuses,
    ...(age === undefined ? {} : { beforeMs: nowMs - age }),
    ...(policy.maxCount === undefined ? {} : { maxCount: policy.maxCount }),
  };
}
