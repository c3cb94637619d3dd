/** Leases of engines that end without a release (a run that had ended when it was leased) must not add up for ever. */
const MOST_RUNS = 10_000;
/** Engines that share one store; each counts once, however often it leases. */
const MOST_OWNERS = 1000;

/** Whose leases were won through one store and not released yet. */
export class LeaseHolders {
  /** By run, in the order they were won. */
  private readonly byRun = new Map<string, Set<string>>();
  private readonly owners = new Set<string>();
  /** Runs that were given up under the lease that is held. */
  private readonly givenUp = new Set<string>();

  won(runId: string, owner: string): void {
    const ofRun = this.byRun.get(runId) ?? new Set();
    // Won again: the lease it had before is over.
    ofRun.delete(owner);
    this.byRun.delete(runId);
    this.byRun.set(runId, ofRun.add(owner));
    this.owners.add(owner);
    this.givenUp.delete(runId);
    dropOldest(this.byRun, MOST_RUNS);
    dropOldest(this.givenUp, MOST_RUNS);
    dropOldest(this.owners, MOST_OWNERS);
  }

  /** A turn gives the run up under the lease that is held. */
  gaveUp(runId: string): void {
    if (this.byRun.has(runId)) this.givenUp.add(runId);
  }

  /** Who may carry the run on when it has failed: whoever won its lease last, unless it was given up under that one. */
  resumer(runId: string): string | undefined {
    return this.givenUp.has(runId) ? undefined : [...(this.byRun.get(runId) ?? [])].at(-1);
  }

  /**
   * Whose lease a release frees. Of several engines the one that won first: its lease is over since the next one won, so
   * that a release which comes late frees nothing. A release that no lease stands behind (of a second turn that took none)
   * frees what the store's own engines hold; one of a store without engines, an operator's, anybody's.
   */
  release(runId: string): readonly string[] | undefined {
    const [first, ...others] = this.byRun.get(runId) ?? [];
    if (others.length > 0) this.byRun.set(runId, new Set(others));
    else this.forget(runId);
    if (first !== undefined) return [first];
    return this.owners.size === 0 ? undefined : [...this.owners];
  }

  forget(runId: string): void {
    this.byRun.delete(runId);
    this.givenUp.delete(runId);
  }
}

function dropOldest(known: Map<string, unknown> | Set<string>, most: number): void {
  for (const oldest of known.keys()) {
    if (known.size <= most) return;
    known.delete(oldest);
  }
}
