import type { MikroORM } from '@mikro-orm/core';
import {
  DurableSchemaError,
  durableEntities,
  ENTITIES,
  ensureMikroOrmDurableSchema,
  MikroOrmStateStore,
  planMikroOrmDurableSchema,
} from '../lib';
import { atOnce, eventually, OpenTransaction, watch } from './support/concurrency';
import { connect, connection, type DatabaseKind, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aRun } from './support/fixtures';
import { serverSaying } from './support/server-saying';

const SERVERS = KINDS.filter(({ family }) => family !== 'sqlite');

/** Longer than a statement of the schema function waits for a lock, and far shorter than the transactions it waits for. */
const SOON_MS = 5000;

eachDatabase(SERVERS, (kind) => {
  let db: TestDatabase;

  beforeEach(async () => {
    db = await TestDatabase.create(kind);
  });
  afterEach(() => db.drop());

  it('lets calls of other processes pass while it waits for an old reader, and says who that is', async () => {
    const orm = await db.openReady();
    const store = new MikroOrmStateStore(orm);
    await store.createRun(aRun({ id: 'r' }));
    await sql(orm).execute('alter table durable_workflow_runs drop column origin');
    const reader = await OpenTransaction.holding(await db.open(), 'select count(*) from durable_workflow_runs');
    const booting = ensureMikroOrmDurableSchema(await db.open(), { retry: { forMs: 4000 } }).catch((error) => error);
    const boot = watch(booting);
    const peer = await db.open();
    const waits: number[] = [];
    while (!boot.settled) {
      const before = performance.now();
      await sql(peer).execute("select 1 from durable_workflow_runs where id = 'r'");
      waits.push(performance.now() - before);
    }
    expect(Math.max(...waits)).toBeLessThan(SOON_MS);
    const failure = await booting;
    expect(failure).toBeInstanceOf(DurableSchemaError);
    expect(failure).toMatchObject({ code: 'DURABLE_SCHEMA_LOCKED' });
    const [{ id } = { id: undefined }] = await reader.execute<{ id: unknown }[]>(
      kind.family === 'postgresql' ? 'select pg_backend_pid() as id' : 'select connection_id() as id',
    );
    expect(failure.problems.join()).toContain(`connection ${id}`);
    await reader.rollback();
    expect((await ensureMikroOrmDurableSchema(await db.open())).executed).toHaveLength(1);
    expect(await store.getRun('r')).toMatchObject({ id: 'r' });
  }, 60_000);

  it('completes the tables when the old reader has gone', async () => {
    const orm = await db.openReady();
    await sql(orm).execute('alter table durable_workflow_runs drop column origin');
    const reader = await OpenTransaction.holding(await db.open(), 'select count(*) from durable_workflow_runs');
    const booting = ensureMikroOrmDurableSchema(await db.open());
    await eventually('the statement waits for the reader', () => isWaiting(kind, orm));
    await reader.rollback();
    expect((await booting).executed).toHaveLength(1);
  }, 60_000);

  it('leaves the waits of the caller’s connection as they were', async () => {
    const setting = kind.family === 'postgresql' ? 'lock_timeout' : '@@session.lock_wait_timeout';
    const orm = await db.open({ pool: { min: 1, max: 1 } });
    await orm.em.fork().transactional(async (em) => {
      const wait = async () => {
        const shown = kind.family === 'postgresql' ? `current_setting('${setting}')` : setting;
        const [row] = await (em as ReturnType<typeof sql>).execute(`select ${shown} as value`);
        return String(row?.value);
      };
      await (em as ReturnType<typeof sql>).execute(
        kind.family === 'postgresql' ? "set local lock_timeout = '77s'" : 'set session lock_wait_timeout = 77',
      );
      expect((await ensureMikroOrmDurableSchema(em)).executed.length).toBeGreaterThan(0);
      expect(await wait()).toMatch(/^77/);
    });
  });

  it('waits no longer for another process that completes the tables than the store’s retry says', async () => {
    const orm = await db.openReady();
    await sql(orm).execute('alter table durable_workflow_runs drop column origin');
    const holder = await db.open();
    const other = await holdingTheBootLock(kind, holder, db.dbName);
    const store = new MikroOrmStateStore(await db.open(), { retry: { forMs: 1000 } });
    const before = performance.now();
    await expect(store.ensureSchema()).rejects.toMatchObject({ code: 'DURABLE_SCHEMA_LOCKED' });
    expect(performance.now() - before).toBeLessThan(15_000);
    await other.rollback();
    if (kind.family === 'mysql') await holder.close(true);
    await store.ensureSchema();
  }, 60_000);
});

eachDatabase(
  KINDS.filter(({ family }) => family === 'mysql'),
  (kind) => {
    it('boots in a database whose name is as long as names may be', async () => {
      const home = await TestDatabase.create(kind);
      const name = `${home.dbName}_${'x'.repeat(63 - home.dbName.length)}`;
      expect(name).toHaveLength(64);
      await sql(await home.open()).execute(`create database ${name}`);
      const orm = await connect(kind.driver, { ...connection(kind, name), entities: [...ENTITIES] });
      expect((await ensureMikroOrmDurableSchema(orm)).executed).toHaveLength(5);
      await orm.close(true);
      await sql(await home.open()).execute(`drop database ${name}`);
      await home.drop();
    });

    it('lets processes of many default databases boot into one at once', async () => {
      const target = await TestDatabase.create(kind);
      const homes = await Promise.all(Array.from({ length: 6 }, () => TestDatabase.create(kind)));
      const entities = [...durableEntities({ schema: target.dbName })];
      const orms = await Promise.all(homes.map((home) => home.open({ entities })));
      const reports = await Promise.all(orms.map((orm) => ensureMikroOrmDurableSchema(orm)));
      expect(reports.filter(({ executed }) => executed.length > 0)).toHaveLength(1);
      await Promise.all(homes.map((home) => home.drop()));
      await target.drop();
    }, 60_000);

    it('lets nodes of a cluster, which share no lock, boot at once', async () => {
      const db = await TestDatabase.create(kind);
      await (await db.openReady()).close(true);
      const lone = { onQuery: (text: string) => text.replace(/select get_lock\(.*\) as taken$/, 'select 1 as taken') };
      const orms = await Promise.all(Array.from({ length: 6 }, () => db.open(lone)));
      const admin = orms[0] as MikroORM;
      for (let round = 0; round < 5; round += 1) {
        await sql(admin).execute('drop table durable_signal_waiters');
        await sql(admin).execute('alter table durable_workflow_runs drop column origin');
        await sql(admin).execute('drop index durable_workflow_runs_created_at_idx on durable_workflow_runs');
        await atOnce(orms.length, orms, (orm) => ensureMikroOrmDurableSchema(orm));
        expect((await ensureMikroOrmDurableSchema(admin)).executed).toEqual([]);
      }
      await db.drop();
    }, 120_000);

    it('adds nothing on boot to a group with several primaries, and says what to run from one place', async () => {
      const db = await TestDatabase.create(kind);
      const orm = await db.open(serverSaying({ group_replication_single_primary_mode: 'OFF' }));
      const store = new MikroOrmStateStore(orm);
      const failure = await store.ensureSchema().catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: 'DURABLE_SCHEMA_MISSING',
        message: expect.stringContaining('several primaries'),
      });
      const { statements } = failure as DurableSchemaError;
      expect(statements).toEqual((await planMikroOrmDurableSchema(orm)).statements);
      expect((await ensureMikroOrmDurableSchema(orm)).executed).toEqual(statements);
      await expect(store.ensureSchema()).resolves.toBeUndefined();
      await db.drop();
    });
  },
);

eachDatabase(
  KINDS.filter(({ family }) => family === 'postgresql'),
  (kind) => {
    it('lets processes of many search paths boot into one schema at once', async () => {
      const db = await TestDatabase.create(kind);
      const admin = await db.open();
      const paths = [0, 1, 2, 3, 4, 5].map((n) => `path_${n}`);
      for (const path of paths) await sql(admin).execute(`create schema ${path}`);
      const orms = await Promise.all(
        paths.map((path) =>
          db.open({
            entities: [...durableEntities({ schema: 'shared' })],
            driverOptions: { connection: { options: `-c search_path=${path}` } },
          }),
        ),
      );
      for (let round = 0; round < 4; round += 1) {
        await sql(admin).execute('drop schema if exists shared cascade');
        const reports = await Promise.all(orms.map((orm) => ensureMikroOrmDurableSchema(orm)));
        expect(reports.filter(({ executed }) => executed.length > 0)).toHaveLength(1);
      }
      await db.drop();
    }, 120_000);
  },
);

/** Whether a session of this database waits for a table. */
async function isWaiting(kind: DatabaseKind, orm: MikroORM): Promise<boolean> {
  const rows = await sql(orm).execute(
    kind.family === 'postgresql'
      ? "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
      : "select 1 from information_schema.processlist where db = database() and state like 'Waiting for table metadata lock%'",
  );
  return rows.length > 0;
}

/** The lock that processes which complete the tables take turns behind. */
function holdingTheBootLock(kind: DatabaseKind, orm: MikroORM, dbName: string): Promise<OpenTransaction> {
  return kind.family === 'postgresql'
    ? OpenTransaction.holding(
        orm,
        "select pg_advisory_xact_lock(hashtext('durable-store-mikro-orm'), hashtext('public'))",
      )
    : OpenTransaction.holding(orm, "select get_lock(concat('durable-store-mikro-orm:', left(sha2(?, 256), 40)), 1)", [
        dbName,
      ]);
}
