/** A figure with how far it moved between rounds. */
export interface Figure {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The value below which the share `p` of the values lies. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN;
}

/** The median of the rounds with the lowest and the highest. */
export function figure(rounds: readonly number[]): Figure {
  return { median: percentile(rounds, 0.5), low: Math.min(...rounds), high: Math.max(...rounds) };
}

/** Round by round quotients: what slows the machine down in a round slows both down. */
export function ratio(numerators: readonly number[], denominators: readonly number[]): Figure {
  return figure(numerators.map((numerator, round) => numerator / (denominators[round] ?? Number.NaN)));
}

/** The same items beginning with another one each round, so that nobody is always first. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const start = round % Math.max(items.length, 1);
  return [...items.slice(start), ...items.slice(0, start)];
}
