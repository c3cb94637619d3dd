import { WIDTHS } from '../schemas/widths';
import { checkEpochMs, checkText } from './limits';
import type { ListedAs } from './listed-runs';
import { literals } from './progress';
import { retake } from './retake';
import type { Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import { ACTIVE_STATUSES, UNLOCKABLE_STATUSES } from './types';
import { changeUnlocked, columnOfEach, valueOfEach } from './unlocked';

/** The renewal of a run's lease, checked. */
export interface Renewal {
  readonly runId: string;
  readonly owner: string;
  readonly until: Param;
}

/** A claim on a run's lease, checked. */
export interface Claim extends Renewal {
  /** Whether so much time has passed since it was asked that a lease won now could be over before its holder renews it. */
  readonly isLate: () => boolean;
  /** The same claim as it is asked now: for as long a lease, which begins later by the time that has passed. */
  readonly again: () => Claim;
  /** Leases that end by then are free. */
  readonly present: Param;
  /** Holds only for a run that still is as it was listed; `undefined`: for any that has not ended. */
  readonly as: ListedAs | undefined;
}

/** A lease to free. */
export interface Release {
  readonly runId: string;
  /** Whose lease; `undefined`: whoever holds it. */
  readonly owners: readonly string[] | undefined;
}

/** The statements of a change of many runs, by their number. */
interface Many {
  readonly lock: (count: number) => string;
  readonly set: (count: number) => string;
}

/** Said of a claim that holds for a run at rest too. */
const AT_REST = 'at rest';

/** A lease is first renewed after half its time, so that whoever has it a quarter late has as much again to renew it in. */
const LATEST_PART = 1 / 4;
/** Leases as short as this are for tests with a clock of their own: their ends are as asked, however late it is. */
const SHORT_LEASE_MS = 1000;

/** Statements on the two lease columns of a run: each one conditional update by primary key. */
export class Leases {
  private readonly acquireText: (as: ListedAs | undefined) => string;
  private readonly renewText: string;
  private readonly reachedText: string;
  private readonly acquireMany: Many;
  private readonly renewMany: Many;
  private readonly releaseText: (count: number) => string;
  private readonly heldBy: (owners: number) => string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { runs } = tables;
    const [id, by, until] = [runs.column('id'), runs.column('lockedBy'), runs.column('lockedUntil')];
    const confined = scope.runs().text;
    const [status, wakeAt] = [runs.column('status'), runs.column('wakeAt')];
    const notEnded = `${status} not in (${literals(UNLOCKABLE_STATUSES)})`;
    const active = `${status} in (${literals(ACTIVE_STATUSES)})`;
    // The engine takes away the timer of a run that waits for its turn before it dispatches the run.
    const due = `${status} = 'suspended' and (${wakeAt} is null or ${wakeAt} <= ?)`;
    const asListed = { active, blocked: `${status} = 'blocked'`, due };
    // Never back: of renewals that were held up together, the oldest may arrive last.
    const later = `case when ${until} > ? then ${until} else ? end`;
    const update = `update ${runs.name} set `;
    const select = `select ${runs.select('id')} from ${runs.name} where `;

    const free = `${id} = ? and (${until} is null or ${until} <= ?)`;
    const held = `${id} = ? and ${by} = ?${confined}`;
    const acquire = `${update}${by} = ?, ${until} = ? where ${free} and `;
    this.acquireText = (as) =>
      `${acquire}${as === undefined ? notEnded : asListed[typeof as === 'string' ? as : 'due']}${confined}`;
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
    this.heldBy = perCount((owners) => ` and ${by} in (${repeated('?', owners)})`);
  }

  /** Check a claim on a lease, for any run that has not ended. */
  claim(runId: string, owner: string, untilMs: number, nowMs: number): Claim {
    checkText(owner, 'lease owner', WIDTHS.short);
    const renewal = this.renewal(runId, owner, untilMs);
    const present = this.present(nowMs);
    const leaseMs = untilMs - nowMs;
    const askedAt = performance.now();
    const passedMs = () => performance.now() - askedAt;
    return {
      ...renewal,
      present,
      as: undefined,
      isLate: () => leaseMs > SHORT_LEASE_MS && passedMs() > leaseMs * LATEST_PART,
      again: () => this.claim(runId, owner, untilMs + passedMs(), nowMs + passedMs()),
    };
  }

  /** Take the lease of a run that nobody holds at the claim's present. */
  async acquire(sql: Sql, claim: Claim): Promise<boolean> {
    const { runId, owner, until, present, as } = claim;
    if (sql.inDoubt && (await this.hasWon(sql, claim))) return true;
    const due = typeof as === 'object' ? [this.tables.runs.encode('wakeAt', Math.floor(as.dueAtMs))] : [];
    const params = [owner, until, runId, present, ...due, ...this.scope.runs().params];
    return (await sql.affected(this.acquireText(as), params)) === 1;
  }

  /** Whether the run has the very lease that was claimed: only this claim can have left it. */
  private async hasWon(sql: Sql, { runId, owner, until }: Claim): Promise<boolean> {
    const { runs } = this.tables;
    const text = `select 1 from ${runs.name} where ${runs.column('id')} = ? and ${runs.column('lockedBy')} = ? and ${runs.column('lockedUntil')} = ?`;
    return (await sql.rows(text, [runId, owner, until])).length > 0;
  }

  /**
   * Take the leases of different runs, not listed or listed as active, that nobody holds, as far as nobody's lock on a run
   * is in the way: those are left out, not waited for. Needs a transaction, unless the database updates what it locks. Returns the runs it leased.
   */
  acquireUnlocked(sql: Sql, claims: readonly Claim[]): Promise<ReadonlySet<string>> {
    const of = (value: (claim: Claim) => Param) => claims.flatMap((claim) => [claim.runId, value(claim)]);
    const conditions = [...of(({ present }) => present), ...of(({ as }) => (as === 'active' ? '' : AT_REST))];
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

  /** Free the leases of runs: where owners are named only theirs, else whoever holds them. */
  async release(sql: Sql, releases: readonly Release[]): Promise<void> {
    for (const { owners, ids } of byOwners(releases)) {
      const params = [...ids, ...this.scope.runs().params];
      if (owners === undefined) await sql.run(this.releaseText(ids.length), params);
      else await sql.run(this.releaseText(ids.length) + this.heldBy(owners.length), [...params, ...owners]);
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

/** In the order of ids within each: releases that take row locks in one order do not deadlock. */
function byOwners(releases: readonly Release[]): { owners: readonly string[] | undefined; ids: string[] }[] {
  const groups = new Map<string, { owners: readonly string[] | undefined; ids: string[] }>();
  for (const { runId, owners } of releases) {
    const key = JSON.stringify(owners);
    const group = groups.get(key) ?? { owners, ids: [] };
    group.ids.push(runId);
    groups.set(key, group);
  }
  for (const { ids } of groups.values()) ids.sort();
  return [...groups.values()];
}
