import { type DatabaseKind, KINDS } from '../support/databases';
import { SCENARIOS } from './list';
import { type Measured, measure } from './measure';
import { farMemoryTheatre, memoryTheatre } from './memory';
import type { ScenarioOptions } from './options';
import { playProcesses, type Size } from './processes/play';
import { DatabaseTheatre, type Theatre } from './stage';

const MEMORIES = [
  { name: 'memory', theatre: memoryTheatre },
  { name: 'far-memory', theatre: farMemoryTheatre },
] as const;
/** Violations that are printed. */
const SHOWN = 20;

/** Play on the chosen stores, print what came of it, and true when nothing was violated. */
export async function playAll({ stores, size, rounds, only }: ScenarioOptions): Promise<boolean> {
  let good = true;
  for (const memory of rounds === undefined ? [] : MEMORIES.filter(({ name }) => stores.includes(name))) {
    good = (await playRounds(memory.theatre, memory.name, rounds ?? 0, only)) && good;
  }
  for (const kind of KINDS.filter(({ system }) => stores.includes(system))) {
    if (kind.missing) console.log(`${kind.name}: skipped, ${kind.missing}`);
    else if (rounds === undefined) good = (await shareParents(kind, size)) && good;
    else good = (await playRounds(await DatabaseTheatre.open(kind), kind.name, rounds, only)) && good;
  }
  return good;
}

async function shareParents(kind: DatabaseKind, size: Size): Promise<boolean> {
  const { violations, seconds, repeated } = await playProcesses(kind, size);
  const { processes, parents, children } = size;
  const verdict = violations.length === 0 ? 'all ended, nothing was booked twice' : `${violations.length} violations`;
  console.log(
    `${kind.name}, ${processes} processes, ${parents} parents of ${children} children: ${verdict}, ` +
      `in ${seconds.toFixed(1)} s; parents whose local step after the children began twice: ${repeated}`,
  );
  print(violations);
  return violations.length === 0;
}

async function playRounds(theatre: Theatre, store: string, rounds: number, only: string): Promise<boolean> {
  const chosen = SCENARIOS.filter(({ name }) => name.includes(only));
  if (chosen.length === 0) throw new TypeError(`--only: no scenario has ${only} in its name`);
  console.log(`\n${store}, ${rounds} rounds`);
  let good = true;
  for (const scenario of chosen) {
    const measured = await measure(scenario, theatre, rounds);
    good &&= measured.violations.length === 0;
    console.log(lineOf(measured));
    print(measured.violations);
  }
  await theatre.close();
  return good;
}

function lineOf({ scenario, repeated, leftWaiters, violations, seconds }: Measured): string {
  const twice = [...repeated].map(([step, times]) => `${step} ${times} times`).join(', ') || 'nothing';
  const verdict = violations.length === 0 ? 'good' : `${violations.length} VIOLATIONS`;
  return `${verdict}, ${seconds.toFixed(2)} s each: ${scenario}; begun again: ${twice}; rounds with waiters left: ${leftWaiters}`;
}

function print(violations: readonly string[]): void {
  for (const violation of violations.slice(0, SHOWN)) console.log(`  ${violation}`);
  if (violations.length > SHOWN) console.log(`  and ${violations.length - SHOWN} more`);
}
