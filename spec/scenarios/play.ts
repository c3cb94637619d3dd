import type { Ends } from './ends';
import type { Scenario } from './scenario';
import type { Theatre } from './stage';
import { Stuck, World } from './world';

/** Play a scenario from its first start to its last call and see how it ended, and what of that is wrong. */
export async function play(scenario: Scenario, theatre: Theatre): Promise<{ ends: Ends; world: World }> {
  const world = new World(scenario, await theatre.stage());
  await scenario.drive(world).catch((error) => {
    if (!(error instanceof Stuck)) throw error;
    world.trouble('stuck', error);
  });
  world.gate.open();
  return { ends: await world.end(), world };
}
