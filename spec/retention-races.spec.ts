import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore, type RetentionPolicy, type WorkflowRun } from '../lib';
import { betweenStatements } from './support/between-statements';
import { finished as ending, startTs } from './support/child';
import { eachDatabase, KINDS, OWN_DRIVERS, TestDatabase } from './support/databases';
import { aRun } from './support/fixtures';

const KEPT = 4;
const POLICY: RetentionPolicy = { statuses: ['completed', 'failed'], maxCount: KEPT };

/** A run that finished at this epoch second. */
function finished(id: string, second: number, status: WorkflowRun['status'] = 'completed'): WorkflowRun {
  return aRun({ id, status, updatedAt: new Date(second * 1000) });
}

/** Finished at seconds 1 to 8. */
const EARLIER = ['h', 'a', 'g', 'b', 'f', 'c', 'e', 'd'];
const NEWEST = EARLIER.slice(-3);

type Happening = [what: string, happen: (store: MikroOrmStateStore) => Promise<unknown>];

const MEANWHILE: readonly Happening[] = [
  ['nothing happens', async () => undefined],
  ['more runs finish than are kept', (store) => finishing(store, ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'], 100)],
  ['runs finish at the time of the first that is too many', (store) => finishing(store, ['0', 'bb', 'zz'], 4)],
  ['runs finish that are older than all', (store) => finishing(store, ['0', 'zz'], 0)],
  ['one of the newest is queued again', (store) => store.updateRun('d', { status: 'pending' })],
  ['the newest are queued again', (store) => each(NEWEST, (id) => store.updateRun(id, { status: 'pending' }))],
  ['the newest are deleted', (store) => each(NEWEST, (id) => store.deleteRun(id))],
];

/** What would wait for the runs that a prune has locked. */
const BEFORE_THE_LOCK: readonly Happening[] = [
  ['another prune comes first', (store) => store.pruneTerminalRuns(POLICY, 0, 2)],
  ['the oldest are queued again', (store) => each(['h', 'a'], (id) => store.updateRun(id, { status: 'pending' }))],
  ['the oldest are deleted', (store) => each(['h', 'a'], (id) => store.deleteRun(id))],
];

/** The selects of a prune: how far the history is to be looked at, who is chosen, how many rows, locked, and who is one too many. */
const [LOCKED, COUNTED] = [4, 5];
const CASES = [
  ...MEANWHILE.flatMap(([what, happen]) => [0, 1, 2, 3, LOCKED, COUNTED].map((after) => ({ what, happen, after }))),
  ...BEFORE_THE_LOCK.flatMap(([what, happen]) => [0, 1, 2, 3].map((after) => ({ what, happen, after }))),
];

// SQLite has one writer, so that nothing happens between the statements of a prune.
eachDatabase(
  OWN_DRIVERS.filter(({ family }) => family !== 'sqlite'),
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
      for (const [n, id] of EARLIER.entries())
        await store.createRun(finished(id, n + 1, n % 2 ? 'failed' : 'completed'));
    });
    afterAll(() => db.drop());

    it.each(CASES)('$what after select $after of a prune by number, and only the right runs go', async (given) => {
      let before: string[] = [];
      let then: string[] = [];
      let selects = 0;
      const interrupted = betweenStatements(orm, async (statement) => {
        if (!/^select [^@]*$/.test(statement)) return;
        if (selects++ !== given.after) return;
        before = await ended(store);
        await given.happen(store);
        then = await ended(store);
      });
      const pruned = await new MikroOrmStateStore(interrupted).pruneTerminalRuns(POLICY, 0, 100);
      expect(selects).toBeGreaterThan(COUNTED);

      const left = await ended(store);
      expect(pruned).toBe(then.length - left.length);
      // Those to keep are counted once the runs that may go are locked; what happens later comes after the prune.
      const kept = given.after < COUNTED ? then.slice(-KEPT) : before.slice(-KEPT).filter((id) => then.includes(id));
      expect(left).toEqual(expect.arrayContaining(kept));
      const earlier = before.filter((id) => then.includes(id));
      const earlierLeft = earlier.filter((id) => left.includes(id));
      expect(earlierLeft).toEqual(earlier.slice(earlier.length - earlierLeft.length));
      // What was left out of caution goes next time.
      await store.pruneTerminalRuns(POLICY, 0, 100);
      expect(await ended(store)).toEqual((given.after < COUNTED ? then : left).slice(-KEPT));
    });
  },
);

eachDatabase(KINDS, (kind) => {
  const WRITERS = 4;
  const RUNS = 60;
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
  });
  afterAll(() => db.drop());

  it('prunes by number beside runs that finish all the time, and keeps the newest', async () => {
    const store = await db.store();
    // A connection that waits for another of this process stops the process.
    const pruner = kind.family === 'sqlite' ? store : await db.store();
    let [second, writing, pruned] = [1, WRITERS, 0];
    const writer = async () => {
      for (let n = 0; n < RUNS; n += 1) {
        second += 1;
        await store.createRun(finished(`run-${String(second).padStart(4, '0')}`, Math.floor(second / 3)));
      }
      writing -= 1;
    };
    const prune = async () => {
      while (writing > 0) {
        const gone = await pruner.pruneTerminalRuns(POLICY, 0, 10);
        pruned += gone;
      }
    };
    await Promise.all([...Array.from({ length: WRITERS }, writer), prune(), prune()]);
    const left = await ended(store);
    expect(left).toHaveLength(WRITERS * RUNS - pruned);
    const newest = Array.from({ length: KEPT }, (_, n) => `run-${String(second - KEPT + 1 + n).padStart(4, '0')}`);
    expect(left.slice(-KEPT)).toEqual(newest);
    expect(pruned).toBeGreaterThan(0);
  });
});

// On SQLite whoever prunes has the database to itself.
eachDatabase(
  KINDS.filter(({ family }) => family !== 'sqlite'),
  (kind) => {
    let db: TestDatabase;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
    });
    afterAll(() => db.drop());

    it('a NestJS application with retention by number stays up while runs finish', async () => {
      const store = await db.store();
      const finish = (n: number) => store.createRun(aRun({ id: `r${n}`, status: 'completed', updatedAt: new Date() }));
      await Promise.all(Array.from({ length: 200 }, (_, n) => finish(n)));
      const application = startTs('spec/support/pruning-application.ts', [kind.name, db.dbName]);
      let isOver = false;
      const end = ending(application).finally(() => {
        isOver = true;
      });
      let said = '';
      application.stdout?.on('data', (data) => {
        said += String(data);
      });
      // Several at once, so that between two statements of a prune more finish than are kept beyond the number.
      for (let n = 200; !said.includes('swept') && !isOver; n += 4) {
        await Promise.all([0, 1, 2, 3].map((more) => finish(n + more)));
      }
      application.kill('SIGTERM');
      expect(await end).toEqual({ code: 0, output: 'up\nswept\n' });
    });
  },
);

/** The finished runs, longest finished first. */
async function ended(store: MikroOrmStateStore): Promise<string[]> {
  const runs = await store.listRuns({ statuses: ['completed', 'failed'] });
  const age = ({ updatedAt, id }: WorkflowRun) => `${String(updatedAt.getTime()).padStart(9, '0')} ${id}`;
  return runs
    .map((run) => age(run))
    .sort()
    .map((aged) => aged.slice(10));
}

function finishing(store: MikroOrmStateStore, ids: readonly string[], second: number): Promise<void> {
  return each(ids, (id) => store.createRun(finished(id, second)));
}

async function each(ids: readonly string[], work: (id: string) => Promise<void>): Promise<void> {
  for (const id of ids) await work(id);
}
