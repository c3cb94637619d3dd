import { WIDTHS } from '../schemas/widths';
import { checkEpochMs, checkText } from './limits';
import type { Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import { ACTIVE_STATUSES, type RunStatus, UNLOCKABLE_STATUSES } from './types';

/** A claim on a run's lease or its renewal, checked. */
export interface LeaseChange {
  readonly runId: string;
  readonly text: string;
  readonly params: readonly Param[];
}

/** A lease to free. */
export interface Release {
  readonly runId: string;
  readonly owner: string | undefined;
}

/** Statements on the two lease columns of a run: each one conditional update by primary key. */
export class Leases {
  private readonly acquireText: string;
  private readonly acquireActiveText: string;
  private readonly renewText: string;
  private readonly releaseText: (count: number) => string;
  private readonly releaseOwnText: (count: number) => string;
  private readonly heldText: string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { runs } = tables;
    const [id, by, until] = [runs.column('id'), runs.column('lockedBy'), runs.column('lockedUntil')];
    const confined = scope.runs().text;
    const acquire =
      `update ${runs.name} set ${by} = ?, ${until} = ? where ${id} = ? ` +
      `and (${until} is null or ${until} <= ?) and ${runs.column('status')}`;
    this.acquireText = `${acquire} not in (${literals(UNLOCKABLE_STATUSES)})${confined}`;
    this.acquireActiveText = `${acquire} in (${literals(ACTIVE_STATUSES)})${confined}`;
    // Never back: of renewals that were held up together, the oldest may arrive last.
    const later = `case when ${until} > ? then ${until} else ? end`;
    this.renewText = `update ${runs.name} set ${until} = ${later} where ${id} = ? and ${by} = ?${confined}`;
    const release = `update ${runs.name} set ${by} = null, ${until} = null where ${id} in `;
    this.releaseText = perCount((count) => `${release}(${repeated('?', count)})${confined}`);
    this.releaseOwnText = perCount((count) => `${release}(${repeated('?', count)})${confined} and ${by} = ?`);
    this.heldText = `select 1 from ${runs.name} where ${id} = ? and ${by} = ?${confined}`;
  }

  /** Check a claim on a lease. It holds for a run that has not ended or, where `onlyActive`, that is not at rest either. */
  claim(runId: string, owner: string, untilMs: number, nowMs: number): (onlyActive: boolean) => LeaseChange {
    checkText(owner, 'lease owner', WIDTHS.short);
    const until = this.instant(untilMs, 'leaseUntilMs');
    const params = [owner, until, runId, this.present(nowMs), ...this.scope.runs().params];
    return (onlyActive) => ({ runId, text: onlyActive ? this.acquireActiveText : this.acquireText, params });
  }

  /** Take the lease of a run that nobody holds at the claim's present. */
  async acquire(sql: Sql, { text, params }: LeaseChange): Promise<boolean> {
    return (await sql.affected(text, params)) === 1;
  }

  /** Check a renewal and turn it into its parameters. */
  renewal(runId: string, owner: string, untilMs: number): LeaseChange {
    const until = this.instant(untilMs, 'leaseUntilMs');
    return { runId, text: this.renewText, params: [until, until, runId, owner, ...this.scope.runs().params] };
  }

  /** Extend the lease its owner still holds, expired or not; one that ends later stays. */
  async renew(sql: Sql, { text, params }: LeaseChange): Promise<boolean> {
    if ((await sql.affected(text, params)) === 1) return true;
    // A server that counts changed rows reports none when the lease already ends at that time.
    return sql.dialect.countsChangedRows && (await sql.rows(this.heldText, params.slice(2))).length === 1;
  }

  /** Free the leases of runs: where an owner is named only that one's, else whoever holds them. */
  async release(sql: Sql, releases: readonly Release[]): Promise<void> {
    for (const [owner, ids] of idsByOwner(releases)) {
      const params = [...ids, ...this.scope.runs().params];
      if (owner === undefined) await sql.run(this.releaseText(ids.length), params);
      else await sql.run(this.releaseOwnText(ids.length), [...params, owner]);
    }
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

function literals(statuses: readonly RunStatus[]): string {
  return statuses.map((status) => `'${status}'`).join(', ');
}

/** In the order of ids within each: releases that take row locks in one order do not deadlock. */
function idsByOwner(releases: readonly Release[]): ReadonlyMap<string | undefined, string[]> {
  const owners = new Map<string | undefined, string[]>();
  for (const { runId, owner } of releases) owners.set(owner, [...(owners.get(owner) ?? []), runId]);
  for (const ids of owners.values()) ids.sort();
  return owners;
}
