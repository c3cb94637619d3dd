import { elapsed } from '../timer';
import { restMs } from './pace';

/**
 * Looks at the database when somebody wants it, one look at a time and never more than a share of the time. A look that is
 * wanted while one is under way comes after it.
 */
export class Looks {
  private timer: AbortController | undefined;
  private dueAt = Number.POSITIVE_INFINITY;
  private restUntil = 0;
  private underWay: Promise<void> | undefined;
  private isOver = false;

  /** `look` takes care of its own errors. */
  constructor(private readonly look: () => Promise<void>) {}

  /** Look in `ms` from now at the latest. */
  within(ms: number): void {
    const at = performance.now() + Math.max(0, ms);
    if (this.isOver || at >= this.dueAt) return;
    this.dueAt = at;
    this.arm();
  }

  /** Resolve when no look is under way and none comes. */
  async close(): Promise<void> {
    this.isOver = true;
    this.timer?.abort();
    await this.underWay;
  }

  private arm(): void {
    if (this.underWay) return;
    this.timer?.abort();
    const timer = new AbortController();
    this.timer = timer;
    const ms = Math.max(this.dueAt, this.restUntil) - performance.now();
    elapsed(ms, timer.signal).then(
      () => this.begin(),
      () => undefined,
    );
  }

  private begin(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    const begun = performance.now();
    this.underWay = this.look().then(() => {
      this.underWay = undefined;
      this.restUntil = performance.now() + restMs(performance.now() - begun);
      if (!this.isOver && this.dueAt < Number.POSITIVE_INFINITY) this.arm();
    });
  }
}
