import { finished, startTs } from './support/child';
import { MARIADB, MYSQL } from './support/server-kinds';
import { Goal } from './torture/goal';
import { mariaDbBinary } from './torture/mariadb-server';
import type { DatabaseName } from './torture/options';

const DATABASES: readonly DatabaseName[] = ['sqlite', 'postgresql', 'mariadb', 'mysql'];
const noMariaDb = !mariaDbBinary() && !process.env[MARIADB.variable];

/** Bounds that only what hangs reaches, however busy the machine is. */
const BOUNDS = '--minutes 10 --settle 300';
const WITHIN_MS = 20 * 60_000;

describe('the end of the torture', () => {
  const MINUTE = 60_000;
  const happened = { runs: 0, faults: 0, sabotages: 0 };
  const counts = { runs: () => happened.runs, faults: () => happened.faults, sabotages: () => happened.sabotages };
  beforeEach(() => Object.assign(happened, { runs: 0, faults: 0, sabotages: 0 }));

  it('is a time', () => {
    const goal = new Goal({ minutes: 3, until: undefined }, counts, 5 * MINUTE);
    expect([5, 7.9, 8, 9].map((minutes) => goal.reached(minutes * MINUTE))).toEqual([false, false, true, true]);
  });

  it('or what has happened, whatever the time', () => {
    const goal = new Goal({ minutes: 3, until: { runs: 2, faults: 1 } }, counts, 0);
    const reached = () => [goal.reached(0, ['faults']), goal.reached(0)];
    expect(reached()).toEqual([false, false]);
    happened.faults = 1;
    expect(reached()).toEqual([true, false]);
    happened.runs = 2;
    expect(reached()).toEqual([true, true]);
    expect(goal.reached(9 * MINUTE)).toBe(true);
  });

  it('and an error that says what has not happened within the time', () => {
    const goal = new Goal({ minutes: 3, until: { runs: 2, faults: 1 } }, counts, 0);
    happened.faults = 1;
    expect(() => goal.reached(3 * MINUTE)).toThrow('after 3 minutes there were 0 of 2 runs');
    expect(goal.reached(3 * MINUTE, ['faults'])).toBe(true);
  });
});

describe('npm run torture', () => {
  const torture = (db: DatabaseName, args: string) =>
    finished(startTs('spec/torture/main.ts', `--db ${db} ${BOUNDS} ${args}`.split(' ')));

  for (const db of DATABASES) {
    const missing = { sqlite: false, postgresql: false, mariadb: noMariaDb, mysql: !process.env[MYSQL.variable] }[db];
    (missing ? it.skip : it)(
      `${missing ? `skipped, no ${db}: ` : ''}brings every run on ${db} through faults of its kinds`,
      async () => {
        const { code, output } = await torture(db, '--workers 2 --until runs=20,faults=8 --fault-every 500');
        expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('Every promise held.') });
        expect(output).toMatch(/starts acknowledged +[1-9]/);
        expect(output).toMatch(/transactions acknowledged +[1-9]/);
      },
      WITHIN_MS,
    );
  }

  it.each([
    ['double-charge', '--until sabotages=5', 'BROKEN: every business write of ctx.transaction exactly once'],
    // A later turn of its run does a lost step again: what it lost last is seen.
    ['lost-step', '--until runs=25,sabotages=15', 'BROKEN: every acknowledged write is there afterwards'],
    ['stuck-run', '--until sabotages=1 --settle 2', 'BROKEN: no run is stuck once the faults have stopped'],
  ])(
    'ends with 1 when a worker breaks a promise: %s',
    async (sabotage, until, words) => {
      const { code, output } = await torture('sqlite', `--workers 1 --faults lock --sabotage ${sabotage} ${until}`);
      expect(output).toContain(words);
      expect(code).toBe(1);
    },
    WITHIN_MS,
  );

  it.each([
    ['--faults earthquake', '--faults: expected kill, stop,'],
    ['--until luck=3', '--until: expected runs, faults, sabotages'],
  ])('ends with 2 and says why when it cannot run: %s', async (option, words) => {
    const { code, output } = await torture('sqlite', option);
    expect(output).toContain(words);
    expect(code).toBe(2);
  });
});
