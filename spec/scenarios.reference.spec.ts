import { SCENARIOS } from './scenarios/list';
import { repeatedSteps } from './scenarios/measure';
import { farMemoryTheatre, memoryTheatre } from './scenarios/memory';
import { play } from './scenarios/play';
import type { Scenario } from './scenarios/scenario';
import { scenarioSuite } from './scenarios/suite';

const ROUNDS = 60;

// What the engine makes of the scenarios on its own store is what it must make of them on a database.
describe('InMemoryStateStore of the engine', () => {
  scenarioSuite(async () => memoryTheatre);

  it.each(allowed(({ repeats, referenceRepeats }) => Object.keys({ ...repeats, ...referenceRepeats })))(
    'shows that the engine itself does %s again where the store takes its time: %s',
    async (step, _name, scenario) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const { ends } = await play(scenario, farMemoryTheatre);
        if (repeatedSteps(ends, scenario.expected?.()).includes(step)) return;
      }
      throw new Error(`nobody did ${step} again in ${ROUNDS} rounds`);
    },
  );

  it.each(allowed(({ leaves = [] }) => leaves))('leaves waiters %s… behind: %s', async (prefix, _name, scenario) => {
    const { ends } = await play(scenario, memoryTheatre);
    expect(ends.waiters.filter((token) => token.startsWith(prefix))).not.toEqual([]);
  });
});

/** One scenario for each thing that some scenarios allow. */
function allowed(things: (scenario: Scenario) => readonly string[]): [string, string, Scenario][] {
  const first = new Map<string, Scenario>();
  for (const scenario of [...SCENARIOS].reverse()) for (const thing of things(scenario)) first.set(thing, scenario);
  return [...first].map(([thing, scenario]) => [thing, scenario.name, scenario]);
}
