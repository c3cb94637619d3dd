import { finished, startTs } from './support/child';
import { MARIADB, MYSQL } from './support/server-kinds';
import { mariaDbBinary } from './torture/mariadb-server';
import type { DatabaseName } from './torture/options';

/** Seconds of faults; runs need a few more to end. */
const SECONDS = 5;

const DATABASES: readonly DatabaseName[] = ['sqlite', 'postgresql', 'mariadb', 'mysql'];
const noMariaDb = !mariaDbBinary() && !process.env[MARIADB.variable];

describe('npm run torture', () => {
  const torture = (db: DatabaseName, ...args: string[]) =>
    finished(
      startTs('spec/torture/main.ts', ['--db', db, '--minutes', String(SECONDS / 60), '--workers', '2', ...args]),
    );

  for (const db of DATABASES) {
    const missing = { sqlite: false, postgresql: false, mariadb: noMariaDb, mysql: !process.env[MYSQL.variable] }[db];
    (missing ? it.skip : it)(
      `${missing ? `skipped, no ${db}: ` : ''}brings every run on ${db} through faults of its kinds`,
      async () => {
        const { code, output } = await torture(db, '--fault-every', '600');
        expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('Every promise held.') });
        expect(output).toMatch(/starts acknowledged +[1-9]/);
        expect(output).toMatch(/transactions acknowledged +[1-9]/);
      },
    );
  }

  it.each([
    ['double-charge', 'BROKEN: every business write of ctx.transaction exactly once'],
    ['lost-step', 'BROKEN: every acknowledged write is there afterwards'],
    ['stuck-run', 'BROKEN: no run is stuck once the faults have stopped'],
  ])('ends with 1 when a worker breaks a promise: %s', async (sabotage, words) => {
    const { code, output } = await torture(
      'sqlite',
      '--minutes',
      '0.05',
      '--faults',
      'lock',
      '--settle',
      '3',
      '--sabotage',
      sabotage,
    );
    expect(output).toContain(words);
    expect(code).toBe(1);
  });

  it('ends with 2 and says why when it cannot run', async () => {
    const { code, output } = await torture('sqlite', '--faults', 'earthquake');
    expect(output).toContain('--faults: expected kill, stop,');
    expect(code).toBe(2);
  });
});
