import type { WorkflowRun } from './types';

/**
 * As what the engine lists runs before it leases them: `active` to pick up or recover, `blocked` to try again, or due
 * at an instant, in epoch ms.
 */
export type ListedAs = 'active' | 'blocked' | { readonly dueAtMs: number };

/** Listings that are remembered: a poll makes four, and several engines may share a store. */
const REMEMBERED = 32;

export interface Listing {
  readonly as: ListedAs;
  /** The last `nowMs` of a lease that is bound to the listing, by run; infinite until a lease was asked for the run. */
  readonly boundMs: Map<string, number>;
}

/**
 * The runs that a store has listed for its engines, until a lease is asked for each.
 *
 * The engine lists and then leases one after the other, executing in between, so that a lease may be asked for a run that
 * another engine has carried on since and put to rest: executing it again repeats a turn, and a failed run's last step.
 */
export class ListedRuns {
  /** The newest first. */
  private listings: Listing[] = [];

  add(as: ListedAs, runs: readonly WorkflowRun[]): void {
    if (runs.length === 0) return;
    const unfinished = this.listings.filter(({ boundMs }) => boundMs.size > 0);
    const boundMs = new Map(runs.map(({ id }) => [id, Number.POSITIVE_INFINITY]));
    this.listings = [{ as, boundMs }, ...unfinished].slice(0, REMEMBERED);
  }

  /**
   * The last listing of the run that binds a lease asked for at `nowMs`; from now on it binds none. Whoever wins that lease may
   * be somebody else than the poll that listed the run (a run that has just been started is executed at once): then the caller
   * has the listing bind what was read off the clock no later, for a poll reads the clock before it lists.
   */
  take(runId: string, nowMs: number): Listing | undefined {
    const listing = this.listings.find(({ boundMs }) => nowMs <= (boundMs.get(runId) ?? Number.NEGATIVE_INFINITY));
    listing?.boundMs.delete(runId);
    return listing;
  }
}
