import type { Race } from '../race';
import { concurrentBoots } from './boots';
import { checkpointOverwrites } from './checkpoints';
import { duplicateCreates } from './creates';
import { deletesAgainstWriters } from './deletes';
import { eventClaims } from './events';
import { handOver } from './hand-over';
import { leasesOfManyRuns, lockContention, renewalAgainstTakeOver } from './leases';
import { attributesOfManyRuns, attributesOfOneRun, patchesOfDifferentFields } from './patches';
import { pruneAgainstWriters } from './prunes';
import { takesOfASignal, takesOfAWaiter } from './takes';
import { wakeUps } from './wake-ups';

/** All races, in the order they are played. */
export const RACES: readonly Race[] = [
  takesOfAWaiter,
  takesOfASignal,
  handOver,
  wakeUps,
  lockContention,
  renewalAgainstTakeOver,
  leasesOfManyRuns,
  duplicateCreates,
  patchesOfDifferentFields,
  attributesOfOneRun,
  attributesOfManyRuns,
  checkpointOverwrites,
  eventClaims,
  deletesAgainstWriters,
  pruneAgainstWriters,
  concurrentBoots,
];

/** @throws Error for a name no race has */
export function raceNamed(name: string): Race {
  const race = RACES.find((each) => each.name === name);
  if (!race) throw new Error(`no race is called ${name}`);
  return race;
}
