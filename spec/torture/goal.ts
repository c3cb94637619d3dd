import type { Options } from './options';

/** What can be waited for: completed runs (children included), faults that have struck, promises broken on purpose. */
export const COUNTED = ['runs', 'faults', 'sabotages'] as const;

export type Counted = (typeof COUNTED)[number];

/** When the faults and the orders end: after a time, or once so much has happened, however long a busy machine takes. */
export class Goal {
  private readonly endAt: number;

  constructor(
    private readonly options: Pick<Options, 'minutes' | 'until'>,
    private readonly counts: Readonly<Record<Counted, () => number>>,
    nowMs: number,
  ) {
    this.endAt = nowMs + options.minutes * 60_000;
  }

  /**
   * Whether there has been enough of everything, or of one thing.
   *
   * @throws Error when what is waited for has not happened within the minutes
   */
  reached(nowMs: number, what: readonly Counted[] = COUNTED): boolean {
    const { until, minutes } = this.options;
    if (!until) return nowMs >= this.endAt;
    const missing = what.filter((each) => this.counts[each]() < (until[each] ?? 0));
    if (missing.length === 0 || nowMs < this.endAt) return missing.length === 0;
    const counts = missing.map((each) => `${this.counts[each]()} of ${until[each]} ${each}`);
    throw new Error(`after ${minutes} minutes there were ${counts.join(', ')}`);
  }
}
