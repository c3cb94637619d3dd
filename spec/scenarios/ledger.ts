/** What the steps of a scenario did outside of the store: each entry is a business effect on a run, `charge order-3`. */
export class Ledger {
  private readonly counts = new Map<string, number>();
  /** Entries in all. */
  size = 0;

  /** Record an effect; called by the body of a step. Returns how often it has happened by now. */
  did(effect: string): number {
    const times = this.times(effect) + 1;
    this.counts.set(effect, times);
    this.size += 1;
    return times;
  }

  times(effect: string): number {
    return this.counts.get(effect) ?? 0;
  }

  get all(): Counts {
    return Object.fromEntries(this.counts);
  }
}

/** How often each effect happened. */
export type Counts = Readonly<Record<string, number>>;

/** How often each of some effects is in a list. */
export function countsOf(effects: Iterable<string>): Counts {
  const counts: Record<string, number> = {};
  for (const effect of effects) counts[effect] = (counts[effect] ?? 0) + 1;
  return counts;
}
