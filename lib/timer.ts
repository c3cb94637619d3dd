import { setTimeout as delay } from 'node:timers/promises';

/** The longest delay of a timer of Node: a longer one fires after one millisecond. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Resolve after `ms`, at once for 0 and never for `Infinity`; reject when `signal` aborts. Keeps no process alive. */
export async function elapsed(ms: number, signal: AbortSignal): Promise<void> {
  const until = performance.now() + ms;
  for (let left = ms; left > 0; left = until - performance.now()) {
    await delay(Math.min(left, LONGEST_TIMER_MS), undefined, { signal, ref: false });
  }
}
