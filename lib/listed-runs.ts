import type { WorkflowRun } from './types';

/**
 * As what the engine lists runs before it leases them: `active` to pick up or recover, `blocked` to try again, or due
 * at an instant, in epoch ms.
 */
export type ListedAs = 'active' | 'blocked' | { readonly dueAtMs: number };

/** Listings that are remembered: a poll makes four, and several engines may share a store. */
const REMEMBERED = 32;

interface Listing {
  readonly as: ListedAs;
  /** The runs no lease was asked for yet. */
  readonly runIds: Set<string>;
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
    const unfinished = this.listings.filter(({ runIds }) => runIds.size > 0);
    this.listings = [{ as, runIds: new Set(runs.map(({ id }) => id)) }, ...unfinished].slice(0, REMEMBERED);
  }

  /** How the run was listed last, if no lease was asked for that listing yet; from now on one was. */
  take(runId: string): ListedAs | undefined {
    return this.listings.find(({ runIds }) => runIds.delete(runId))?.as;
  }
}
