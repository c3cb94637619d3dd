import { setImmediate as macrotask } from 'node:timers/promises';
import { elapsed } from './timer';

/** Calls that are under way. */
export class InFlight {
  private readonly calls = new Set<Promise<unknown>>();

  /** Run `call` and count it until it settles; whoever awaits it finds it counted no more. */
  track<T>(call: () => Promise<T>): Promise<T> {
    const promise = call();
    this.calls.add(promise);
    return settling(promise, () => this.calls.delete(promise));
  }

  get isEmpty(): boolean {
    return this.calls.size === 0;
  }

  /** Resolve when the calls that are under way now have settled. */
  async passed(): Promise<void> {
    await Promise.allSettled(this.calls);
  }
}

/**
 * The same promise, which does something before those who await it go on. No promise of its own for them: each costs a call of
 * the hot path about a microsecond, where the host traces asynchronous calls.
 */
export function settling<T>(promise: Promise<T>, end: () => unknown): Promise<T> {
  promise.then(end, end);
  return promise;
}

/**
 * Resolve when none of the calls is under way, at once if none is, and after `boundMs` in any case. A call that follows
 * on the heels of a finished one counts: that is why each wait is followed by a macrotask and another look.
 */
export async function quiet(calls: InFlight, boundMs: number): Promise<void> {
  await bounded(boundMs, async (isOver) => {
    while (!calls.isEmpty && !isOver()) {
      await calls.passed();
      await macrotask();
    }
  });
}

/** Do `work`, and go on without it after `boundMs`. `work` is told when nobody waits for it any more. */
export async function bounded(boundMs: number, work: (isOver: () => boolean) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  let over = false;
  const bound = elapsed(boundMs, abort.signal).then(
    () => {
      over = true;
    },
    () => undefined,
  );
  await Promise.race([bound, work(() => over)]);
  abort.abort();
}
