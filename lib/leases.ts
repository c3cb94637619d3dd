import { WIDTHS } from '../schemas/widths';
import { checkEpochMs, checkText } from './limits';
import { retake } from './retake';
import type { Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import { ACTIVE_STATUSES, type RunStatus, UNLOCKABLE_STATUSES } from './types';
import { changeUnlocked, columnOfEach, valueOfEach } from './unlocked';

/** The renewal of a run's lease, checked. */
export interface Renewal {
  readonly runId: string;
  readonly owner: string;
  readonly until: Param;
}

/** A claim on a run's lease, checked. */
export interface Claim extends Renewal {
  /** Leases that end by then are free. */
  readonly present: Param;
  /** Whether it holds for active runs alone; otherwise for all that have not ended. */
  readonly onlyActive: boolean;
}

/** A lease to free. */
export interface Release {
  readonly runId: string;
  readonly owner: string | undefined;
}

/** The statements of a change of many runs, by their number. */
interface Many {
  readonly lock: (count: number) => string;
  readonly set: (count: number) => string;
}

/** Said of a claim that holds for a run at rest too. */
const AT_REST = 'at rest';

/** Statements on the two lease columns of a run: each one conditional update by primary key. */
export class Leases {
  private readonly acquireText: string;
  private readonly acquireActiveText: string;
  private readonly renewText: string;
  private readonly reachedText: string;
  private readonly acquireMany: Many;
  private readonly renewMany: Many;
  private readonly releaseText: (count: number) => string;
  private readonly releaseOwnText: (count: number) => string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { runs } = tables;
    const [id, by, until] = [runs.column('id'), runs.column('lockedBy'), runs.column('lockedUntil')];
    const confined = scope.runs().text;
    const notEnded = `${runs.column('status')} not in (${literals(UNLOCKABLE_STATUSES)})`;
    const active = `${runs.column('status')} in (${literals(ACTIVE_STATUSES)})`;
    // Never back: of renewals that were held up together, the oldest may arrive last.
    const later = `case when ${until} > ? then ${until} else ? end`;
    const update = `update ${runs.name} set `;
    const select = `select ${runs.select('id')} from ${runs.name} where `;

    const free = `${id} = ? and (${until} is null or ${until} <= ?)`;
    const held = `${id} = ? and ${by} = ?${confined}`;
    this.acquireText = `${update}${by} = ?, ${until} = ? where ${free} and ${notEnded}${confined}`;
    this.acquireActiveText = `${update}${by} = ?, ${until} = ? where ${free} and ${active}${confined}`;
    this.renewText = `${update}${until} = ${later} where ${held}`;
    this.reachedText = `select ${until} >= ? as reached from ${runs.name} where ${held}`;

    const among = (count: number) => `${id} in (${repeated('?', count)})`;
    const each = (count: number, otherwise: string, value?: string) => valueOfEach(tables, count, otherwise, value);
    this.acquireMany = {
      lock: perCount(
        (count) =>
          `${select}${among(count)} and (${until} is null or ${until} <= ${each(count, until)}) ` +
          `and (${active} or (${notEnded} and '${AT_REST}' = ${each(count, "''")}))${confined}`,
      ),
      set: perCount((count) => `${columnOfEach(tables, count, by)}, ${columnOfEach(tables, count, until)}`),
    };
    this.renewMany = {
      lock: perCount((count) => `${select}${among(count)} and ${by} = ${each(count, by)}${confined}`),
      set: perCount((count) => `${until} = ${each(count, until, later)}`),
    };

    const release = `${update}${by} = null, ${until} = null where `;
    this.releaseText = perCount((count) => `${release}${among(count)}${confined}`);
    this.releaseOwnText = perCount((count) => `${release}${among(count)}${confined} and ${by} = ?`);
  }

  /** Check a claim on a lease. It holds for a run that has not ended or, where `onlyActive`, that is not at rest either. */
  claim(runId: string, owner: string, untilMs: number, nowMs: number): (onlyActive: boolean) => Claim {
    checkText(owner, 'lease owner', WIDTHS.short);
    const claim = { ...this.renewal(runId, owner, untilMs), present: this.present(nowMs) };
    return (onlyActive) => ({ ...claim, onlyActive });
  }

  /** Take the lease of a run that nobody holds at the claim's present. */
  async acquire(sql: Sql, { runId, owner, until, present, onlyActive }: Claim): Promise<boolean> {
    const text = onlyActive ? this.acquireActiveText : this.acquireText;
    return (await sql.affected(text, [owner, until, runId, present, ...this.scope.runs().params])) === 1;
  }

  /**
   * Take the leases of different runs that nobody holds, as far as nobody's lock on a run is in the way: those are left
   * out, not waited for. Needs a transaction, unless the database updates what it locks. Returns the runs it leased.
   */
  acquireUnlocked(sql: Sql, claims: readonly Claim[]): Promise<ReadonlySet<string>> {
    const of = (value: (claim: Claim) => Param) => claims.flatMap((claim) => [claim.runId, value(claim)]);
    const conditions = [...of(({ present }) => present), ...of(({ onlyActive }) => (onlyActive ? '' : AT_REST))];
    return this.change(sql, this.acquireMany, claims, conditions, [
      ...of(({ owner }) => owner),
      ...of(({ until }) => until),
    ]);
  }

  /** Check a renewal. */
  renewal(runId: string, owner: string, untilMs: number): Renewal {
    return { runId, owner, until: this.instant(untilMs, 'leaseUntilMs') };
  }

  /** Extend the lease its owner still holds, expired or not; one that ends later stays. */
  async renew(sql: Sql, { runId, owner, until }: Renewal): Promise<boolean> {
    const held = [runId, owner, ...this.scope.runs().params];
    const renewed = await retake(async () => {
      if ((await sql.affected(this.renewText, [until, until, ...held])) === 1) return true;
      if (!sql.dialect.countsChangedRows) return null;
      // A server that counts changed rows reports none when the lease already ends at that time.
      const [lease] = await sql.rows(this.reachedText, [until, ...held]);
      if (!lease) return null;
      // Its owner may have taken it since, until another time.
      return Number(lease.reached) === 1 || 'contended';
    });
    return renewed ?? false;
  }

  /** Extend the leases of different runs, in the way of {@link acquireUnlocked}. */
  renewUnlocked(sql: Sql, renewals: readonly Renewal[]): Promise<ReadonlySet<string>> {
    const owners = renewals.flatMap(({ runId, owner }) => [runId, owner]);
    const untils = renewals.flatMap(({ runId, until }) => [runId, until, until]);
    return this.change(sql, this.renewMany, renewals, owners, untils);
  }

  /** Free the leases of runs: where an owner is named only that one's, else whoever holds them. */
  async release(sql: Sql, releases: readonly Release[]): Promise<void> {
    for (const [owner, ids] of idsByOwner(releases)) {
      const params = [...ids, ...this.scope.runs().params];
      if (owner === undefined) await sql.run(this.releaseText(ids.length), params);
      else await sql.run(this.releaseOwnText(ids.length), [...params, owner]);
    }
  }

  private change(
    sql: Sql,
    { lock, set }: Many,
    changes: readonly Renewal[],
    conditions: readonly Param[],
    setParams: readonly Param[],
  ): Promise<ReadonlySet<string>> {
    const runIds = changes.map(({ runId }) => runId);
    const lockParams = [...runIds, ...conditions, ...this.scope.runs().params];
    const texts = { lock: lock(runIds.length), set: set(runIds.length) };
    return changeUnlocked(sql, this.tables, { runIds, ...texts, lockParams, setParams });
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
