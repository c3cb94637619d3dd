import { KINDS } from '../support/databases';
import { RACES } from './list';
import type { RaceOptions } from './options';
import { play, type Result } from './play';
import { lineOf, tableOf } from './report';

/** Play the chosen races on the chosen databases, print what came of them, and true when nothing was violated. */
export async function playAll({ systems, only, ...size }: RaceOptions): Promise<boolean> {
  const races = RACES.filter(({ name }) => name.includes(only));
  if (races.length === 0) throw new Error(`no race is called ${only}: ${RACES.map(({ name }) => name).join(', ')}`);
  const results: Result[] = [];
  const onResult = (result: Result) => {
    results.push(result);
    console.log(lineOf(result));
  };
  for (const kind of KINDS.filter(({ system }) => systems.includes(system))) {
    if (kind.missing) console.log(`${kind.name}: skipped, ${kind.missing}`);
    else await play(kind, races, size, { onResult });
  }
  console.log(`\n${tableOf(results)}`);
  return results.every(({ violations }) => violations.length === 0);
}
