import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore, type RetentionPolicy } from '../lib';
import { Look } from '../lib/control-plane/look';
import { tablesOf } from '../lib/tables';
import { FIRST_MS, seed } from './plans/seed';
import { type DatabaseKind, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';

const RUNS = 20_000;

/** A store call whose statements must each be served from an index. */
interface Planned {
  readonly name: string;
  readonly call: (store: MikroOrmStateStore) => Promise<unknown>;
  /** The index has the rows in the order that is asked for. */
  readonly ordered?: boolean;
  /** Families that cannot serve this from an index, and why. */
  readonly scans?: readonly DatabaseKind['family'][];
}

const PLANNED: readonly Planned[] = [
  { name: 'getRun', call: (store) => store.getRun('run-7') },
  { name: 'tryLockRun', call: (store) => store.tryLockRun('run-7', 'me', 2, 1) },
  { name: 'releaseRunLock', call: (store) => store.releaseRunLock('run-7') },
  { name: 'updateRun', call: (store) => store.updateRun('run-7', { output: 1 }) },
  { name: 'getCheckpoint', call: (store) => store.getCheckpoint('run-7', 0) },
  { name: 'listCheckpoints', call: (store) => store.listCheckpoints('run-7') },
  { name: 'getLatestCheckpointByName', call: (store) => store.getLatestCheckpointByName('run-7', 'charge') },
  {
    name: 'listCheckpointsByNamePrefix',
    call: (store) => store.listCheckpointsByNamePrefix('run-7', ['signal:child:']),
  },
  { name: 'takeSignalWaiter', call: (store) => store.takeSignalWaiter('child:none') },
  { name: 'listSignalWaiters of a prefix', call: (store) => store.listSignalWaiters('child:run-77') },
  { name: 'takeBufferedSignal', call: (store) => store.takeBufferedSignal('none') },
  { name: 'listBufferedEvents', call: (store) => store.listBufferedEvents('none', 50) },
  { name: 'removeBufferedEvent', call: (store) => store.removeBufferedEvent('none') },
  { name: 'listPendingRuns', call: (store) => store.listPendingRuns(RUNS) },
  { name: 'listPendingRuns of a namespace', call: (store) => store.listPendingRuns(RUNS, 'ns-1') },
  { name: 'listIncompleteRuns', call: (store) => store.listIncompleteRuns() },
  { name: 'listDueTimers', call: (store) => store.listDueTimers(FIRST_MS + 5000) },
  { name: 'listRuns of blocked runs', call: (store) => store.listRuns({ statuses: ['blocked'] }) },
  { name: 'listRuns, newest first', ordered: true, call: (store) => store.listRuns({ limit: 50 }) },
  { name: 'listRuns, a deep page', ordered: true, call: (store) => store.listRuns({ limit: 50, offset: 5000 }) },
  {
    name: 'listRuns by workflow and status',
    call: (store) => store.listRuns({ workflow: 'wf-1', status: 'failed', limit: 50 }),
  },
  {
    name: 'listRuns by namespace',
    call: (store) => store.listRuns({ namespace: 'ns-1', status: 'completed', limit: 50 }),
  },
  {
    name: 'listRuns by tag',
    call: (store) => store.listRuns({ tag: 'tag-7' }),
    // Neither SQLite nor MariaDB can index the elements of a JSON array.
    scans: ['sqlite', 'mysql'],
  },
  {
    name: 'listRuns by a numeric attribute',
    call: (store) => store.listRuns({ attributes: [{ key: 'total', op: 'gte', value: RUNS - 10 }] }),
  },
  {
    name: 'listRuns by a text attribute',
    call: (store) => store.listRuns({ attributes: [{ key: 'city', op: 'eq', value: 'city-7' }] }),
  },
];

eachDatabase(
  // Once for each system.
  KINDS.filter(({ name }) =>
    ['SQLite (better-sqlite)', 'PostgreSQL', 'MariaDB (mariadb driver)', 'MySQL (mysql driver)'].includes(name),
  ),
  (kind) => {
    let db: TestDatabase;
    let orm: MikroORM;
    let store: MikroOrmStateStore;
    const sent: string[] = [];

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      orm = await db.openReady({
        debug: ['query', 'query-params'],
        colors: false,
        logger: (message) => sent.push(statementOf(message)),
      });
      store = new MikroOrmStateStore(orm);
      await seed(orm, kind, { runs: RUNS, checkpointsPerRun: 3 });
      await store.getRun('none');
    });
    afterAll(() => db.drop());

    it.each(PLANNED.filter(({ scans }) => !scans?.includes(kind.family)))(
      'answers $name from an index',
      async ({ call, ordered }) => {
        const [{ statement, plan }, ...others] = await plans(() => call(store));
        expect(others).toEqual([]);
        // MySQL looks a row up by its key while it plans.
        expect(plan).toMatch(/durable_|PRIMARY|AUTOINDEX|no matching row in const table/i);
        expect({ statement, plan, scans: fullScans(kind, plan) }).toEqual({ statement, plan, scans: [] });
        if (ordered) expect({ statement, plan, sorts: sorts(kind, plan) }).toEqual({ statement, plan, sorts: [] });
      },
    );

    it('answers listPendingRuns of a longer backlog from indexes', async () => {
      for (const { statement, plan } of await plans(() => store.listPendingRuns(50))) {
        const bad = [...fullScans(kind, plan), ...sorts(kind, plan)];
        expect({ statement, plan, bad }).toEqual({ statement, plan, bad: [] });
      }
      // No index has a namespace's runs of one time by id.
      for (const { statement, plan } of await plans(() => store.listPendingRuns(25, 'ns-0'))) {
        expect({ statement, plan, scans: fullScans(kind, plan) }).toEqual({ statement, plan, scans: [] });
      }
    });

    it.each([undefined, 'ns-1'])(
      'a look of the control plane reads from indexes, in namespace %s',
      async (namespace) => {
        const look = async () => {
          const { text, params } = new Look(tablesOf(orm.em), namespace).question({
            nowMs: FIRST_MS + 5000,
            cancelledMs: FIRST_MS + 60_000,
          });
          await sql(orm).execute(text, [...params]);
        };
        for (const { statement, plan } of await plans(look)) {
          expect({ statement, plan, scans: fullScans(kind, plan) }).toEqual({ statement, plan, scans: [] });
        }
      },
    );

    const POLICIES: [string, RetentionPolicy][] = [
      ['age', { statuses: ['completed', 'failed', 'cancelled', 'dead'], maxAge: 0 }],
      ['number', { statuses: ['completed', 'failed'], maxCount: 20 }],
    ];
    it.each(POLICIES)('prunes by %s from indexes', async (_, policy) => {
      const nowMs = FIRST_MS + 50_000;
      const made = await plans(() => store.pruneTerminalRuns(policy, nowMs, 5));
      expect(made.length).toBeGreaterThan(3);
      for (const { statement, plan } of made) {
        expect({ statement, plan, scans: fullScans(kind, plan) }).toEqual({ statement, plan, scans: [] });
      }
    });

    // What a statement read is in the session's counters; the others show in their plans that they need not sort.
    if (kind.family === 'mysql') {
      it('reads of a backlog, and of runs to prune, no more than it answers', async () => {
        const one = await db.open({ pool: { min: 1, max: 1 } });
        const alone = new MikroOrmStateStore(one);
        await alone.getRun('none');
        const reads = async (call: () => Promise<unknown>) => {
          await sql(one).execute('flush status', [], 'run');
          await call();
          const counters = await sql(one).execute<{ Value: string }[]>("show session status like 'Handler_read%'");
          return counters.reduce((total, { Value }) => total + Number(Value), 0);
        };
        expect(await reads(() => alone.listPendingRuns(10))).toBeLessThan(100);
        const [page] = await plans(() => store.listRuns({ limit: 10, offset: 100 }));
        expect(page.plan).toMatch(
          /table=durable_workflow_runs (.* )?type=index .* Extra=(Backward index scan; )?Using index$/m,
        );
        for (const policy of [{ maxAge: 0 }, { maxCount: 20 }]) {
          const prune = () => alone.pruneTerminalRuns({ statuses: ['completed', 'failed'], ...policy }, Date.now(), 5);
          expect(await reads(prune)).toBeLessThan(500);
        }
      });
    }

    /** The statements of a call, transaction control aside, each with its plan. */
    async function plans(call: () => Promise<unknown>): Promise<[Explained, ...Explained[]]> {
      sent.length = 0;
      await call();
      const made = sent.filter(
        (statement) =>
          !statement.endsWith(' where 1 = 0') && /^(\/\*.*\*\/ )?(select|update|insert|delete|with)/.test(statement),
      );
      const steps: Explained[] = [];
      for (const statement of made) steps.push({ statement, plan: await explained(orm, kind, statement) });
      return steps as [Explained, ...Explained[]];
    }
  },
);

interface Explained {
  readonly statement: string;
  readonly plan: string;
}

/** The statement in a line of MikroORM's query log, which is coloured where a terminal is presumed. */
function statementOf(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins a colour
  const plain = line.replace(/\u001b\[\d+m/g, '');
  return plain.replace(/^\[query\] (\(\w+\) )?/, '').replace(/ \[took [^\]]*\]$/, '');
}

async function explained(orm: MikroORM, kind: DatabaseKind, statement: string): Promise<string> {
  // MySQL's own default is a tree, which does not say how a table is read in so many words.
  const prefix = {
    sqlite: 'explain query plan',
    postgresql: 'explain',
    mariadb: 'explain',
    mysql: 'explain format=traditional',
  }[kind.system];
  const rows = await sql(orm).execute(`${prefix} ${statement}`);
  return rows
    .map((row) =>
      Object.entries(row)
        .map(([column, value]) => `${column}=${value}`)
        .join(' '),
    )
    .join('\n');
}

/** The steps of a plan that read a whole table of ours. */
function fullScans(kind: DatabaseKind, plan: string): string[] {
  const whole = {
    sqlite: /detail=SCAN durable_(?!.*USING (COVERING )?INDEX)/,
    postgresql: /Seq Scan on durable_(workflow_runs|step_checkpoints|run_attributes|signal_waiters)/,
    mysql: /table=durable_\w+ (.* )?type=ALL/,
  }[kind.family];
  return plan.split('\n').filter((line) => whole.test(line));
}

/** The steps of a plan that put rows in order. MySQL shows one for the few rows of a page too. */
function sorts(kind: DatabaseKind, plan: string): string[] {
  const sort = { sqlite: /TEMP B-TREE/, postgresql: /Sort/, mysql: undefined }[kind.family];
  return plan.split('\n').filter((line) => sort?.test(line));
}
