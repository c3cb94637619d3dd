import { setImmediate as macrotask } from 'node:timers/promises';
import { announcedAs } from './announced';
import { bounded, InFlight, settling } from './in-flight';
import { LeaseHolders } from './lease-holders';
import { type ListedAs, ListedRuns } from './listed-runs';
import { ACTIVE_STATUSES, type WorkflowRun } from './types';

/**
 * What one store remembers of its runs so that no turn works without the lease it believes in. A *turn* is one execution
 * of a workflow's body, from the lease to the write that ends it.
 *
 * | verb | what it prevents |
 * | --- | --- |
 * | `write`, `read` | a lease that goes before the write which ends its turn: the engine asks for the release without waiting for that write |
 * | `read`, `claim` | a turn woken while a release is on its way: it would read the engine's own lease, take none, and work without one |
 * | `claim` | a lease won for a listing that is out of date: the run has come to rest since, and its last step would run again |
 * | `gaveUp`, `resumer` | a failed run that sleeps again, because an older turn suspends it under the lease that is still held |
 * | `claim`, `release` | a release that frees the lease of whoever took over: a turn frees its own engine's lease only |
 *
 * What stays open: two turns of one run in one process. The engine takes no second lease for a run it holds, and the store
 * cannot tell one turn's calls from the other's: the turn that ends first frees the lease, and both may begin a local step.
 * Nor is a lease held while a compensating cancel goes through its compensations: the engine asks for the release before.
 *
 * Memory: an entry for each run with calls under way, for each lease won and not released (at most 10,000 runs), and the ids
 * of the last 32 listings.
 */
export class LeaseGuards {
  private readonly turns = new Map<string, Turn>();
  private readonly releases = new Map<string, Release>();
  private readonly holders = new LeaseHolders();
  private readonly listings = new ListedRuns();
  private readonly justRead = new Set<string>();

  /** A call that writes something of the run: a release waits for it when it is under way, or follows one that was. */
  write<T>(runId: string, call: () => Promise<T>): Promise<T> {
    return this.during(runId, 'writes', call);
  }

  /** A read of the run itself. It comes after a release that is on its way, and no release waits for reads that come later. */
  async read(runId: string, call: () => Promise<WorkflowRun | null>): Promise<WorkflowRun | null> {
    // At once where there is none: a release that is asked for in this tick waits for this read.
    if (this.releases.has(runId)) await this.released(runId);
    const run = await this.during(runId, 'reads', call);
    if (run && !ACTIVE_STATUSES.includes(run.status)) {
      this.justRead.add(runId);
      // After the promise callbacks of this read, and before those of any other call's answer.
      process.nextTick(() => this.justRead.delete(runId));
    }
    return run;
  }

  /** Runs that the engine has listed in order to lease one after the other. */
  listed(as: ListedAs, runs: readonly WorkflowRun[]): void {
    this.listings.add(as, runs);
  }

  /**
   * Ask for a lease at `nowMs`, after a release that is on its way. A run that was listed is leased only as it was listed, once
   * for each listing, and one that a control plane announced as it was announced. Whoever wakes a run at rest reads it and asks in
   * the same breath, and is bound to nothing.
   */
  async claim(
    { runId, owner, nowMs }: { runId: string; owner: string; nowMs: number },
    ask: (as: ListedAs | undefined) => Promise<boolean>,
  ): Promise<boolean> {
    const isFree = this.justRead.has(runId);
    const announced = isFree ? undefined : announcedAs(runId);
    const listing = isFree ? undefined : this.listings.take(runId, nowMs);
    await this.released(runId);
    const won = await ask(announced ?? listing?.as);
    if (won) {
      this.holders.won(runId, owner);
      listing?.boundMs.set(runId, nowMs);
    }
    return won;
  }

  /** A turn gives the run up (`failed`, `dead`): what an older turn still writes under the same lease sets nothing back. */
  gaveUp(runId: string): void {
    this.holders.gaveUp(runId);
  }

  /** Who may carry the run on when it has failed: whose lease was won through this store since. */
  resumer(runId: string): string | undefined {
    return this.holders.resumer(runId);
  }

  /** The run is gone, and with it its lease. */
  forget(runId: string): void {
    this.holders.forget(runId);
  }

  /**
   * Free a lease once the calls of the turn that ends have settled, and after `boundMs` in any case: those under way now, and
   * the writes that follow on their heels. `free` is told whose lease it may free; `undefined`: anybody's. Releases asked for
   * while one waits are that one.
   */
  release(
    runId: string,
    boundMs: number,
    free: (owners: readonly string[] | undefined) => Promise<void>,
  ): Promise<void> {
    return this.freed(runId, boundMs, () => free(this.holders.release(runId)));
  }

  /** Free a lease that has just been won and is not to be kept: no turn stands behind it. */
  giveBack(runId: string, free: () => Promise<void>): Promise<void> {
    return this.freed(runId, 0, free);
  }

  private freed(runId: string, boundMs: number, free: () => Promise<void>): Promise<void> {
    const pending = this.releases.get(runId);
    if (pending && !pending.isMade) return pending.done;
    const release: Release = { isMade: false, done: Promise.resolve() };
    this.releases.set(runId, release);
    release.done = this.make(runId, release, boundMs, free).finally(() => {
      if (this.releases.get(runId) === release) this.releases.delete(runId);
    });
    return release.done;
  }

  private async make(runId: string, release: Release, boundMs: number, free: () => Promise<void>): Promise<void> {
    await bounded(boundMs, (isOver) => this.ended(runId, isOver));
    release.isMade = true;
    await free();
  }

  /** Resolve when the turn that asked for the release has made its last write. No read begins meanwhile; see {@link read}. */
  private async ended(runId: string, isOver: () => boolean): Promise<void> {
    for (let turn = this.turns.get(runId); turn && !isOver(); turn = this.turns.get(runId)) {
      await Promise.all([turn.reads.passed(), turn.writes.passed()]);
      // What follows on the heels of a settled call begins before the next macrotask.
      await macrotask();
    }
  }

  private async released(runId: string): Promise<void> {
    for (let release = this.releases.get(runId); release; release = this.releases.get(runId)) {
      await release.done.catch(() => undefined);
    }
  }

  private during<T>(runId: string, kind: keyof Turn, call: () => Promise<T>): Promise<T> {
    const turn = this.turns.get(runId) ?? { reads: new InFlight(), writes: new InFlight() };
    this.turns.set(runId, turn);
    return settling(turn[kind].track(call), () => {
      if (turn.reads.isEmpty && turn.writes.isEmpty && this.turns.get(runId) === turn) this.turns.delete(runId);
    });
  }
}

/** The calls of one run that are under way. */
interface Turn {
  readonly reads: InFlight;
  readonly writes: InFlight;
}

/** A release that was asked for. */
interface Release {
  /** Whether it is on its way to the database, so that one asked for now is another. */
  isMade: boolean;
  done: Promise<void>;
}
