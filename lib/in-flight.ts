import { setImmediate as macrotask } from 'node:timers/promises';
import { elapsed } from './timer';

/**
 * Calls that are under way, by key: for one store, by run.
 *
 * The engine releases a run's lease while the write of its final status is still on its way, and for a suspending run
 * even before that write begins. {@link quiet} lets the release wait for them, so that no other engine finds the
 * run unlocked with its old status.
 */
export class InFlight {
  private readonly calls = new Map<string, Set<Promise<unknown>>>();

  /** Run `call` and count it among the run's calls until it settles. */
  async track<T>(runId: string, call: () => Promise<T>): Promise<T> {
    const promise = call();
    const ofRun = this.calls.get(runId) ?? new Set();
    this.calls.set(runId, ofRun.add(promise));
    try {
      return await promise;
    } finally {
      ofRun.delete(promise);
      if (ofRun.size === 0 && this.calls.get(runId) === ofRun) this.calls.delete(runId);
    }
  }

  /**
   * Resolve when none of the run's calls is under way, at once if none is, and after `boundMs` in any case. A call that
   * follows on the heels of a finished one counts: that is why each wait is followed by a macrotask and another look.
   */
  async quiet(runId: string, boundMs: number): Promise<void> {
    if (!this.calls.has(runId)) return;
    const abort = new AbortController();
    const over = () => 'bound' as const;
    const bound = elapsed(boundMs, abort.signal).then(over, over);
    for (let calls = this.calls.get(runId); calls; calls = this.calls.get(runId)) {
      if ((await Promise.race([bound, Promise.allSettled(calls)])) === 'bound') break;
      await macrotask();
    }
    abort.abort();
  }
}
