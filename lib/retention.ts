import type { BufferedSignals } from './buffered-signals';
import { durationMs } from './duration';
import { checkCount, checkEpochMs } from './limits';
import type { Runs } from './runs';
import type { Condition, Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { type RetentionPolicy, type RunStatus, TERMINAL_STATUSES } from './types';

/** What may be pruned: runs of these statuses that are too old, or too many. */
export interface Bounds {
  readonly statuses: readonly RunStatus[];
  /** Runs last updated before this instant, in epoch ms. */
  readonly beforeMs?: number;
  /** Runs beyond this many, counted from the most recently updated. */
  readonly maxCount?: number;
}

/** Statements that remove finished runs a policy no longer keeps. */
export class Retention {
  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
    private readonly runs: Runs,
    private readonly buffered: BufferedSignals,
  ) {}

  /**
   * Delete at most `limit` runs outside the bounds with everything that belongs to them, longest finished first. The rows
   * are locked before they are chosen for good: a run requeued in between stays. Needs a transaction.
   */
  async prune(sql: Sql, bounds: Bounds, limit: number, dropCompletions: boolean): Promise<number> {
    const { runs } = this.tables;
    // A transaction that reads before it writes cannot get SQLite's write lock while another holds it.
    if (sql.dialect.writesFirst) await sql.run(`update ${runs.name} set ${runs.column('id')} = '' where 1 = 0`, []);
    const outside = this.outside(sql, bounds);
    const rows = await sql.rows(
      `select ${runs.column('id')} as id from ${runs.name} where ${outside.text} ` +
        `order by ${runs.column('updatedAt')}, ${sql.dialect.bytewise(runs.column('id'))} limit ?${sql.dialect.forUpdate}`,
      [...outside.params, limit],
    );
    const ids = rows.map((row) => String(row.id));
    if (ids.length === 0) return 0;
    const again = this.inStatuses(bounds.statuses);
    const placeholders = ids.map(() => '?').join(', ');
    const deleted = await sql.affected(
      `delete from ${runs.name} where ${runs.column('id')} in (${placeholders}) and ${again.text}`,
      [...ids, ...again.params],
    );
    await this.runs.deleteOwned(sql, ids);
    if (dropCompletions) await this.buffered.dropCompletions(sql, ids);
    return deleted;
  }

  private outside(sql: Sql, bounds: Bounds): Condition {
    const { runs } = this.tables;
    const updatedAt = runs.column('updatedAt');
    const violations: Condition[] = [];
    if (bounds.beforeMs !== undefined) {
      violations.push({ text: `${updatedAt} < ?`, params: [runs.encode('wakeAt', bounds.beforeMs)] });
    }
    if (bounds.maxCount !== undefined) violations.push(this.beyondNewest(sql, bounds.statuses, bounds.maxCount));
    const within = this.inStatuses(bounds.statuses);
    return {
      text: `${within.text} and (${violations.map(({ text }) => text).join(' or ')})`,
      params: [...within.params, ...violations.flatMap(({ params }) => params)],
    };
  }

  /** Everything from the first surplus run on, in the order newest to oldest. */
  private beyondNewest(sql: Sql, statuses: readonly RunStatus[], maxCount: number): Condition {
    const { runs } = this.tables;
    const order = [runs.column('updatedAt'), sql.dialect.bytewise(runs.column('id'))];
    const within = this.inStatuses(statuses);
    const first =
      `select ${order.join(', ')} from ${runs.name} where ${within.text} ` +
      `order by ${order.map((key) => `${key} desc`).join(', ')} limit 1 offset ?`;
    return { text: `(${order.join(', ')}) <= (${first})`, params: [...within.params, maxCount] };
  }

  private inStatuses(statuses: readonly RunStatus[]): Condition {
    const { runs } = this.tables;
    const scope = this.scope.runs();
    const text = `${runs.column('status')} in (${statuses.map(() => '?').join(', ')})${scope.text}`;
    return { text, params: [...(statuses as readonly Param[]), ...scope.params] };
  }
}

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
