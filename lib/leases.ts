import { WIDTHS } from '../schemas/widths';
import { checkEpochMs, checkText } from './limits';
import type { Condition, Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import { ACTIVE_STATUSES, type RunStatus, UNLOCKABLE_STATUSES } from './types';

/** A claim on a run's lease or its renewal, checked. */
export interface LeaseChange {
  readonly runId: string;
  readonly owner: string;
  readonly until: Param;
  /** What must hold of the run's row; a condition and its parameters. */
  readonly condition: Condition;
}

/** A lease to free. */
export interface Release {
  readonly runId: string;
  readonly owner: string | undefined;
}

/** Statements on the two lease columns of a run: each one conditional update by primary key. */
export class Leases {
  private readonly claimable: string;
  private readonly claimableActive: string;
  private readonly held: string;
  private readonly acquireText: string;
  private readonly renewText: string;
  private readonly acquireLockedText: (count: number) => string;
  private readonly renewLockedText: (count: number) => string;
  private readonly selectText: string;
  private readonly releaseText: (count: number) => string;
  private readonly releaseOwnText: (count: number) => string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { runs } = tables;
    const [id, by, until] = [runs.column('id'), runs.column('lockedBy'), runs.column('lockedUntil')];
    const confined = scope.runs().text;
    const free = `${id} = ? and (${until} is null or ${until} <= ?) and ${runs.column('status')}`;
    this.claimable = `${free} not in (${literals(UNLOCKABLE_STATUSES)})${confined}`;
    this.claimableActive = `${free} in (${literals(ACTIVE_STATUSES)})${confined}`;
    this.held = `${id} = ? and ${by} = ?${confined}`;
    const update = `update ${runs.name} set `;
    // Never back: of renewals that were held up together, the oldest may arrive last.
    const later = `case when ${until} > ? then ${until} else ? end`;
    this.acquireText = `${update}${by} = ?, ${until} = ? where `;
    this.renewText = `${update}${until} = ${later} where `;
    const each = (column: string, value: string, count: number) =>
      `${column} = case ${id} ${repeated(`when ? then ${value}`, count, ' ')} else ${column} end`;
    const inIds = (count: number) => ` where ${id} in (${repeated('?', count)})`;
    this.acquireLockedText = perCount(
      (count) => `${update}${each(by, '?', count)}, ${each(until, '?', count)}${inIds(count)}`,
    );
    this.renewLockedText = perCount((count) => `${update}${each(until, later, count)}${inIds(count)}`);
    this.selectText = `select ${id} as id from ${runs.name} where `;
    const release = `${update}${by} = null, ${until} = null`;
    this.releaseText = perCount((count) => `${release}${inIds(count)}${confined}`);
    this.releaseOwnText = perCount((count) => `${release}${inIds(count)}${confined} and ${by} = ?`);
  }

  /** Check a claim on a lease. It holds for a run that has not ended or, where `onlyActive`, that is not at rest either. */
  claim(runId: string, owner: string, untilMs: number, nowMs: number): (onlyActive: boolean) => LeaseChange {
    checkText(owner, 'lease owner', WIDTHS.short);
    const until = this.instant(untilMs, 'leaseUntilMs');
    const params = [runId, this.present(nowMs), ...this.scope.runs().params];
    return (onlyActive) => {
      const condition = { text: onlyActive ? this.claimableActive : this.claimable, params };
      return { runId, owner, until, condition };
    };
  }

  /** Take the lease of a run that nobody holds at the claim's present. */
  async acquire(sql: Sql, { owner, until, condition }: LeaseChange): Promise<boolean> {
    return (await sql.affected(this.acquireText + condition.text, [owner, until, ...condition.params])) === 1;
  }

  /**
   * Take the leases of different runs that nobody holds, as far as nobody's lock on a run is in the way: those are left
   * out, not waited for. Needs a transaction. Returns the runs whose leases were taken.
   */
  async acquireUnlocked(sql: Sql, claims: readonly LeaseChange[]): Promise<ReadonlySet<string>> {
    const locked = await this.lock(sql, claims);
    if (locked.length === 0) return new Set();
    const owners = locked.flatMap(({ runId, owner }) => [runId, owner]);
    const untils = locked.flatMap(({ runId, until }) => [runId, until]);
    const ids = locked.map(({ runId }) => runId);
    await sql.run(this.acquireLockedText(ids.length), [...owners, ...untils, ...ids]);
    return new Set(ids);
  }

  /** Check a renewal. */
  renewal(runId: string, owner: string, untilMs: number): LeaseChange {
    const until = this.instant(untilMs, 'leaseUntilMs');
    return { runId, owner, until, condition: { text: this.held, params: [runId, owner, ...this.scope.runs().params] } };
  }

  /** Extend the lease its owner still holds, expired or not; one that ends later stays. */
  async renew(sql: Sql, { until, condition }: LeaseChange): Promise<boolean> {
    if ((await sql.affected(this.renewText + condition.text, [until, until, ...condition.params])) === 1) return true;
    if (!sql.dialect.countsChangedRows) return false;
    // A server that counts changed rows reports none when the lease already ends at that time.
    return (await sql.rows(this.selectText + condition.text, condition.params)).length === 1;
  }

  /** Extend the leases of different runs, in the way of {@link acquireUnlocked}. */
  async renewUnlocked(sql: Sql, renewals: readonly LeaseChange[]): Promise<ReadonlySet<string>> {
    const locked = await this.lock(sql, renewals);
    if (locked.length === 0) return new Set();
    const untils = locked.flatMap(({ runId, until }) => [runId, until, until]);
    const ids = locked.map(({ runId }) => runId);
    await sql.run(this.renewLockedText(ids.length), [...untils, ...ids]);
    return new Set(ids);
  }

  /** Free the leases of runs: where an owner is named only that one's, else whoever holds them. */
  async release(sql: Sql, releases: readonly Release[]): Promise<void> {
    for (const [owner, ids] of idsByOwner(releases)) {
      const params = [...ids, ...this.scope.runs().params];
      if (owner === undefined) await sql.run(this.releaseText(ids.length), params);
      else await sql.run(this.releaseOwnText(ids.length), [...params, owner]);
    }
  }

  /** Lock the rows that fulfil their change's condition and that nobody else has locked. */
  private async lock(sql: Sql, changes: readonly LeaseChange[]): Promise<LeaseChange[]> {
    const any = changes.map(({ condition }) => `(${condition.text})`).join(' or ');
    const params = changes.flatMap(({ condition }) => condition.params);
    const rows = await sql.rows(`${this.selectText}${any}${sql.dialect.forUpdateSkipLocked}`, params);
    const locked = new Set(rows.map(({ id }) => id));
    return changes.filter(({ runId }) => locked.has(runId));
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
