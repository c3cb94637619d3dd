import { WIDTHS } from '../schemas/widths';
import { checkEpochMs, checkText } from './limits';
import type { Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import { UNLOCKABLE_STATUSES } from './types';

/** A claim on a run's lease or its renewal, checked. */
export interface LeaseChange {
  readonly runId: string;
  readonly params: readonly Param[];
}

/** Statements on the two lease columns of a run: each one conditional update by primary key. */
export class Leases {
  private readonly acquireText: string;
  private readonly renewText: string;
  private readonly releaseText: (count: number) => string;
  private readonly heldText: string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { runs } = tables;
    const [id, by, until] = [runs.column('id'), runs.column('lockedBy'), runs.column('lockedUntil')];
    const ended = UNLOCKABLE_STATUSES.map((status) => `'${status}'`).join(', ');
    const confined = scope.runs().text;
    this.acquireText =
      `update ${runs.name} set ${by} = ?, ${until} = ? where ${id} = ? ` +
      `and (${until} is null or ${until} <= ?) and ${runs.column('status')} not in (${ended})${confined}`;
    // Never back: of renewals that were held up together, the oldest may arrive last.
    const later = `case when ${until} > ? then ${until} else ? end`;
    this.renewText = `update ${runs.name} set ${until} = ${later} where ${id} = ? and ${by} = ?${confined}`;
    this.releaseText = perCount(
      (count) =>
        `update ${runs.name} set ${by} = null, ${until} = null where ${id} in (${repeated('?', count)})${confined}`,
    );
    this.heldText = `select 1 from ${runs.name} where ${id} = ? and ${by} = ?${confined}`;
  }

  /** Check a claim on a lease and turn it into its parameters. */
  claim(runId: string, owner: string, untilMs: number, nowMs: number): LeaseChange {
    checkText(owner, 'lease owner', WIDTHS.short);
    const until = this.instant(untilMs, 'leaseUntilMs');
    return { runId, params: [owner, until, runId, this.present(nowMs), ...this.scope.runs().params] };
  }

  /** Take the lease of an unfinished run that nobody holds at the claim's present. */
  async acquire(sql: Sql, { params }: LeaseChange): Promise<boolean> {
    return (await sql.affected(this.acquireText, params)) === 1;
  }

  /** Check a renewal and turn it into its parameters. */
  renewal(runId: string, owner: string, untilMs: number): LeaseChange {
    const until = this.instant(untilMs, 'leaseUntilMs');
    return { runId, params: [until, until, runId, owner, ...this.scope.runs().params] };
  }

  /** Extend the lease its owner still holds, expired or not; one that ends later stays. */
  async renew(sql: Sql, { params }: LeaseChange): Promise<boolean> {
    if ((await sql.affected(this.renewText, params)) === 1) return true;
    // A server that counts changed rows reports none when the lease already ends at that time.
    return sql.dialect.countsChangedRows && (await sql.rows(this.heldText, params.slice(2))).length === 1;
  }

  /** Free the leases of runs, whoever holds them. */
  async release(sql: Sql, runIds: readonly string[]): Promise<void> {
    await sql.run(this.releaseText(runIds.length), [...runIds, ...this.scope.runs().params]);
  }

  /** The present, rounded down: a lease that ends within this millisecond still holds. */
  private present(nowMs: number): Param {
    checkEpochMs(nowMs, 'nowMs');
    return this.tables.runs.encode('lockedUntil', Math.floor(nowMs));
  }

  private instant(ms: number, field: string): Param {
    checkEpochMs(ms, field);
    return this.tables.runs.encode('lockedUntil', ms);
  }
}
