import type { BufferedSignals } from './buffered-signals';
import { durationMs } from './duration';
import { checkCount, checkEpochMs } from './limits';
import type { Runs } from './runs';
import { all, before, type Condition, instantOf, type Scope } from './scope';
import type { Param, Row, Sql } from './session';
import type { Tables } from './tables';
import { repeated } from './texts';
import { type RetentionPolicy, type RunStatus, TERMINAL_STATUSES } from './types';

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
 */
export class Retention {
  private readonly id: string;
  private readonly at: string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
    private readonly runs: Runs,
    private readonly buffered: BufferedSignals,
  ) {
    this.id = tables.runs.column('id');
    this.at = tables.runs.column('updatedAt');
  }

  /**
   * Delete at most `limit` runs outside the bounds with everything that belongs to them, longest finished first. The rows
   * are locked before they are chosen for good: a run requeued in between stays. Needs a transaction.
   */
  async prune(sql: Sql, bounds: Bounds, limit: number, dropCompletions: boolean): Promise<number> {
    const { runs } = this.tables;
    // A transaction that reads before it writes cannot get SQLite's write lock while another holds it.
    if (sql.dialect.writesFirst) await sql.run(`update ${runs.name} set ${this.id} = '' where 1 = 0`, []);
    const outside = await this.outside(sql, bounds);
    if (outside === null) return 0;
    const ids = await this.lock(sql, bounds.statuses, await this.oldest(sql, bounds.statuses, outside, limit));
    if (ids.length === 0) return 0;
    const chosen = `${this.id} in (${repeated('?', ids.length)})`;
    const deleted = await sql.affected(`delete from ${runs.name} where ${chosen}`, ids);
    await this.runs.deleteOwned(sql, ids);
    if (dropCompletions) await this.buffered.dropCompletions(sql, ids);
    return deleted;
  }

  /** What is outside the bounds: everything older than one of them, so that the younger one is all there is. */
  private async outside(sql: Sql, { statuses, beforeMs, maxCount }: Bounds): Promise<Condition | null> {
    const age = beforeMs === undefined ? null : this.before(beforeMs);
    if (maxCount === undefined) return age;
    const edgeMs = await this.timeAt(sql, statuses, EVERY, 'desc', maxCount);
    if (edgeMs === undefined || (beforeMs !== undefined && edgeMs < beforeMs)) return age;
    const edgeId = await this.idAt(sql, statuses, edgeMs, maxCount);
    if (edgeId === undefined) return this.before(edgeMs);
    const [older, notYounger] = [this.before(edgeMs), this.before(edgeMs + 1)];
    return {
      text: `${notYounger.text} and (${older.text} or ${sql.dialect.bytewise(this.id)} <= ?)`,
      params: [...notYounger.params, ...older.params, edgeId],
    };
  }

  /** The id at `position`, newest first, among all runs of these statuses, known to be of the time `ms`. */
  private async idAt(sql: Sql, statuses: Statuses, ms: number, position: number): Promise<string | undefined> {
    const [start, end] = [instantOf(this.tables, ms), instantOf(this.tables, ms + 1)];
    const newer = this.ofEach(statuses, { text: `${this.at} >= ?`, params: [end] });
    const [counted] = await sql.rows(`select count(*) as total from ${newer.text}`, newer.params);
    const tied = this.ofEach(statuses, { text: `${this.at} >= ? and ${this.at} < ?`, params: [start, end] });
    const [edge] = await sql.rows(
      `select ${this.id} as id from ${tied.text} order by ${sql.dialect.bytewise(this.id)} desc limit 1 offset ?`,
      [...tied.params, position - Number(counted?.total)],
    );
    return edge && String(edge.id);
  }

  /** The `limit` longest finished of the runs a condition holds for, ties by id. */
  private async oldest(sql: Sql, statuses: Statuses, condition: Condition, limit: number): Promise<Row[]> {
    const last = await this.timeAt(sql, statuses, condition, 'asc', limit - 1);
    const runs = this.ofEach(statuses, last === undefined ? condition : all([condition, this.before(last + 1)]));
    return sql.rows(
      `select ${this.tables.runs.select('id', 'updatedAt')} from ${runs.text} ` +
        `order by ${this.at}, ${sql.dialect.bytewise(this.id)} limit ?`,
      [...runs.params, limit],
    );
  }

  /** Lock the runs that are still as they were found; their ids. */
  private async lock(sql: Sql, statuses: Statuses, found: readonly Row[]): Promise<string[]> {
    if (found.length === 0) return [];
    const { runs } = this.tables;
    const within = this.inStatuses(statuses);
    const asFound = new Map(found.map((row) => [row.id, this.ms(row)]));
    const locked = await sql.rows(
      `select ${runs.select('id', 'updatedAt')} from ${runs.name} where ${this.id} in (${repeated('?', found.length)}) ` +
        `and ${within.text} order by ${this.id}${sql.dialect.forUpdate}`,
      [...found.map(({ id }) => String(id)), ...within.params],
    );
    return locked.filter((row) => asFound.get(row.id) === this.ms(row)).map(({ id }) => String(id));
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

  private ms(row: Row): number {
    return (this.tables.runs.decode(row).updatedAt as Date).getTime();
  }

  private before(ms: number): Condition {
    return before(this.tables, this.at, ms);
  }

  private inStatuses(statuses: Statuses): Condition {
    const scope = this.scope.runs();
    const text = `${this.tables.runs.column('status')} in (${repeated('?', statuses.length)})${scope.text}`;
    return { text, params: [...(statuses as readonly Param[]), ...scope.params] };
  }
}

type Statuses = readonly RunStatus[];

const EVERY = all([]);

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
