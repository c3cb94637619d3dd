import type { DatabaseKind } from '../support/databases';
import { violations } from './ends';
import { SCENARIOS } from './list';
import { play } from './play';
import { playProcesses } from './processes/play';
import { DatabaseTheatre, type Theatre } from './stage';

const TIMEOUT_MS = 60_000;
/** Violations that a failure shows. */
const SHOWN = 12;

/** Every scenario on one kind of store. A rejection that nobody handles fails its test: Jest sees to that itself. */
export function scenarioSuite(open: () => Promise<Theatre>): void {
  let theatre: Theatre;
  beforeAll(async () => {
    theatre = await open();
  });
  afterAll(() => theatre.close());

  for (const scenario of SCENARIOS) {
    it(
      scenario.name,
      async () => {
        const { ends, world } = await play(scenario, theatre);
        const wrong = [...violations(scenario, ends, theatre.reference), ...(scenario.judge?.(ends, world) ?? [])];
        expect(wrong.length > SHOWN ? [...wrong.slice(0, SHOWN), `and ${wrong.length - SHOWN} more`] : wrong).toEqual(
          [],
        );
      },
      TIMEOUT_MS,
    );
  }
}

/** The small form of `npm run scenarios`. */
const SHARED = { processes: 2, parents: 20, children: 5, reconcileMs: 1000 };

/** Every scenario on a kind of database, and processes that share it. */
export function databaseScenarios(kind: DatabaseKind): void {
  scenarioSuite(() => DatabaseTheatre.open(kind));

  it(
    'two processes that are two share twenty parents of five children',
    async () => {
      expect((await playProcesses(kind, SHARED)).violations).toEqual([]);
    },
    TIMEOUT_MS,
  );
}
