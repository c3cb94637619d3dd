/** How often a process looks while work comes in. */
const BUSY_MS = 10;
/** For how long it goes on so after the last work. */
const BUSY_FOR_MS = 2_000;
/** Nobody spends more than this part of its time on looking. */
const SHARE = 1 / 10;
/** The shortest time between two looks, whatever asks for them. */
const SHORTEST_MS = 5;

/**
 * When a process looks again at a database that cannot call it: every few milliseconds while work comes in, and ever more
 * seldom after. All times are of one monotonic clock, in milliseconds.
 */
export class Pace {
  private activeAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly idleMs: number) {}

  /** There was work: found by a look, or done by an engine of this process. */
  active(nowMs: number): void {
    this.activeAt = nowMs;
  }

  /** The time from one look to the next. */
  intervalMs(nowMs: number): number {
    const quietMs = Math.max(0, nowMs - this.activeAt - BUSY_FOR_MS);
    return Math.min(this.idleMs, BUSY_MS + quietMs / 4);
  }
}

/** How long nobody looks after a look that took `tookMs`. */
export function restMs(tookMs: number): number {
  return Math.max(SHORTEST_MS, tookMs / SHARE - tookMs);
}
