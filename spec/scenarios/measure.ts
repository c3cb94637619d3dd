import { type Ends, type Expected, violations } from './ends';
import { play } from './play';
import type { Scenario } from './scenario';
import type { Theatre } from './stage';

/** How often each allowance of a scenario was made use of. */
export interface Measured {
  readonly scenario: string;
  /** Of each step by its name: how many runs began it more often than expected. */
  readonly repeated: ReadonlyMap<string, number>;
  /** Rounds in which waiters were left behind. */
  readonly leftWaiters: number;
  readonly seconds: number;
  /** Violations that no allowance covers. */
  readonly violations: readonly string[];
}

/** Play a scenario again and again, and count what the engine does twice and what it leaves behind. */
export async function measure(scenario: Scenario, theatre: Theatre, rounds: number): Promise<Measured> {
  const repeated = new Map<string, number>();
  const found: string[] = [];
  let leftWaiters = 0;
  const began = performance.now();
  for (let round = 0; round < rounds; round += 1) {
    const { ends, world } = await play(scenario, theatre);
    for (const step of repeatedSteps(ends, scenario.expected?.())) repeated.set(step, (repeated.get(step) ?? 0) + 1);
    if (ends.waiters.length > 0) leftWaiters += 1;
    found.push(...violations(scenario, ends, theatre.reference), ...(scenario.judge?.(ends, world) ?? []));
  }
  const seconds = (performance.now() - began) / 1000 / rounds;
  return { scenario: scenario.name, repeated, leftWaiters, seconds, violations: found };
}

/** The name of a step for each effect that happened more often than expected. */
export function repeatedSteps(ends: Ends, expected: Expected | undefined): string[] {
  if (!expected) return [];
  const beyond = (counts: Ends['did'], due: Ends['did']) =>
    Object.keys(counts).filter((effect) => (counts[effect] ?? 0) > (due[effect] ?? 0));
  const effects = [...beyond(ends.did, expected.did), ...beyond(ends.booked, expected.booked)];
  return effects.map((effect) => effect.split(' ')[0] as string);
}
