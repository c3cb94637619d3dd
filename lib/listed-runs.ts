import { ACTIVE_STATUSES, type WorkflowRun } from './types';

/**
 * The runs that a store has last listed for picking up or recovery, until it is asked to lease them.
 *
 * The engine lists and then leases one after the other, executing in between, so that a lease may be asked for a run that
 * another engine has carried on since and put to rest: executing it again repeats a turn, and a failed run's last step. The first
 * lease asked for a listed run is therefore the listing's and holds only while the run is still active. Whoever wakes a run
 * at rest has read it first, and what the store has seen at rest is no longer listed.
 */
export class ListedRuns {
  private readonly listed = { pending: new Set<string>(), incomplete: new Set<string>() };

  /** A listing and what it found, in place of the one before it. */
  replace(listing: 'pending' | 'incomplete', runs: readonly WorkflowRun[]): void {
    this.listed[listing] = new Set(runs.map(({ id }) => id));
  }

  /** Runs as they were read just now. */
  see(runs: readonly (WorkflowRun | null)[]): void {
    for (const run of runs) if (run && !ACTIVE_STATUSES.includes(run.status)) this.take(run.id);
  }

  /** Whether a run is listed; from now on it is not. */
  take(runId: string): boolean {
    const isPending = this.listed.pending.delete(runId);
    return this.listed.incomplete.delete(runId) || isPending;
  }
}
