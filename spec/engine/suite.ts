import type { DatabaseKind } from '../support/databases';
import { childCases } from './children';
import { entityCases } from './entities';
import { eventCases } from './events';
import { queryCases } from './queries';
import { recoveryCases } from './recovery';
import { reopeningCases } from './reopening';
import { signalCases } from './signals';
import { stepCases } from './steps';
import { transactionCases } from './transactions';
import { World } from './world';

/** The real engine end to end over one database. */
export function engineSuite(kind: DatabaseKind): void {
  let world: World;
  beforeAll(async () => {
    world = await World.open(kind);
  });
  afterEach(() => world.reset());
  afterAll(() => world.close());

  const cases = {
    stepCases,
    signalCases,
    eventCases,
    childCases,
    transactionCases,
    recoveryCases,
    reopeningCases,
    queryCases,
    entityCases,
  };
  for (const define of Object.values(cases)) define(() => world);
}
