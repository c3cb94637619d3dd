import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../lib';
import { betweenStatements } from './support/between-statements';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aRun } from './support/fixtures';

const LIMIT = 3;
const created = (id: string, second: number) => aRun({ id, createdAt: new Date(second * 1000) });

type Happening = [what: string, happen: (store: MikroOrmStateStore) => Promise<unknown>];

const MEANWHILE: readonly Happening[] = [
  ['older runs are queued', (store) => store.createRun(created('older', 0))],
  ['runs of the same time are queued', (store) => store.createRun(created('a', 3))],
  ['younger runs are queued', (store) => store.createRun(created('younger', 9))],
  ['the oldest is picked up', (store) => store.updateRun('f', { status: 'running' })],
  [
    'all that were reached are picked up',
    (store) => each(['f', 'e', 'd'], (id) => store.updateRun(id, { status: 'running' })),
  ],
  ['all are picked up', (store) => each(QUEUED, (id) => store.updateRun(id, { status: 'running' }))],
];

/** Queued at seconds 1 to 6. */
const QUEUED = ['f', 'e', 'd', 'c', 'b', 'a2'];
const CASES = MEANWHILE.flatMap(([what, happen]) => [0, 1].map((after) => ({ what, happen, after })));

// Elsewhere a backlog is read in one statement.
eachDatabase(
  KINDS.filter(({ family }) => family === 'mysql'),
  (kind) => {
    let db: TestDatabase;
    let orm: MikroORM;
    let store: MikroOrmStateStore;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      orm = await db.openReady();
      store = await db.store();
    });
    beforeEach(async () => {
      await db.clear(orm);
      for (const [n, id] of QUEUED.entries()) await store.createRun(created(id, n + 1));
    });
    afterAll(() => db.drop());

    it.each(CASES)('$what after select $after of a backlog, and none comes before an older one', async (given) => {
      let selects = 0;
      const interrupted = betweenStatements(orm, async (statement) => {
        if (/^select version/.test(statement) || selects++ !== given.after) return;
        await given.happen(store);
      });
      const listed = await new MikroOrmStateStore(interrupted).listPendingRuns(LIMIT);
      expect(selects).toBeGreaterThan(1);
      const backlog = (await store.listPendingRuns(100)).map(({ id }) => id);
      // Fewer than could be are a poll that comes a little later.
      expect(listed.map(({ id }) => id)).toEqual(backlog.slice(0, listed.length));
    });
  },
);

async function each(ids: readonly string[], work: (id: string) => Promise<void>): Promise<void> {
  for (const id of ids) await work(id);
}
