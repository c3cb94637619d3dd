import type { MikroORM } from '@mikro-orm/core';
import {
  durableEntities,
  durableManagedTables,
  ensureMikroOrmDurableSchema,
  MikroOrmStateStore,
  planMikroOrmDurableSchema,
} from '../lib';
import { declaredCollation } from '../lib/schema/sqlite-collation';
import { shaped } from '../lib/schema/statements';
import { eventually, OpenTransaction } from './support/concurrency';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';

const ofFamily = (family: string) => KINDS.filter((kind) => kind.family === family);

describe('the collation a column declares on SQLite', () => {
  const create =
    'CREATE TABLE `t` (`id` text COLLATE NOCASE not null, -- a, b collate x\n "a,b" text default \'x, collate rtrim\', ' +
    '[token] decimal(10, 2) collate rtrim, plain text, run_id text collate "binary", primary key (`id`, `token`))';

  it.each([
    ['id', 'nocase'],
    ['a,b', ''],
    ['token', 'rtrim'],
    ['plain', ''],
    ['run_id', 'binary'],
    ['none', ''],
  ])('of %s is %p', (column, collation) => {
    expect(declaredCollation(create, column)).toBe(collation);
  });
});

it('runs only statements that add to its own tables, whatever a generator says', async () => {
  const kind = KINDS[0]!;
  const db = await TestDatabase.create(kind);
  const { em } = await db.open();
  const statements = [
    'create table `orders` (`id` text)',
    'drop table `durable_workflow_runs`',
    'alter table `durable_workflow_runs` drop column `id`',
    'alter table `durable_workflow_runs` rename to `durable_workflow_runs_old`',
    'update `durable_workflow_runs` set `id` = 1',
    'pragma foreign_keys = off',
    'alter table `durable_workflow_runs` add column `origin` text null',
  ];
  expect(shaped(statements, durableManagedTables(), em.getPlatform(), { database: 'sqlite' })).toEqual(
    statements.slice(-1),
  );
  await db.drop();
});

eachDatabase(KINDS, (kind) => {
  it('says what is missing still when MikroORM makes no statements for it', async () => {
    const db = await TestDatabase.create(kind);
    const orm = await db.openReady();
    await sql(orm).execute('drop table durable_signal_waiters');
    // As if the generator no longer asked the method that is replaced on it.
    const platform = orm.em.getPlatform();
    const original = platform.getSchemaGenerator.bind(platform);
    const generator = jest.spyOn(platform, 'getSchemaGenerator').mockImplementation((...args) => {
      const real = original(...args);
      return Object.defineProperty(real, 'getOrderedMetadata', {
        get: () => Object.getPrototypeOf(real).getOrderedMetadata,
        set: () => undefined,
      });
    });
    const failure = await ensureMikroOrmDurableSchema(orm).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'DURABLE_SCHEMA_MISSING',
      problems: ['durable_signal_waiters'],
    });
    generator.mockRestore();
    expect((await ensureMikroOrmDurableSchema(orm)).executed.length).toBeGreaterThan(0);
    await db.drop();
  });

  it('names the column that a call misses', async () => {
    const db = await TestDatabase.create(kind);
    const orm = await db.openReady();
    await sql(orm).execute('alter table durable_step_checkpoints drop column events');
    const store = new MikroOrmStateStore(orm);
    for (const call of [() => store.saveCheckpoint(aCheckpoint()), () => store.listCheckpoints('r')]) {
      await expect(call()).rejects.toMatchObject({
        code: 'DURABLE_SCHEMA_MISSING',
        problems: [expect.stringContaining('events')],
      });
    }
    expect((await planMikroOrmDurableSchema(orm)).missing).toEqual(['durable_step_checkpoints.events']);
    await db.drop();
  });
});

eachDatabase(ofFamily('postgresql'), (kind) => {
  let db: TestDatabase;

  beforeEach(async () => {
    db = await TestDatabase.create(kind);
  });
  afterEach(() => db.drop());

  it('leaves an index alone that is being built, and one whose build has failed', async () => {
    const orm = await db.openReady();
    const index = 'durable_workflow_runs_created_at_idx';
    await sql(orm).execute(`drop index ${index}`);
    const writer = await OpenTransaction.holding(await db.open(), 'delete from durable_workflow_runs');
    const dba = await db.open();
    const building = sql(dba)
      .execute(`create index concurrently ${index} on durable_workflow_runs (created_at, id)`)
      .catch((error: Error) => error);
    await eventually('the build waits for the writer', async () => {
      const rows = await sql(orm).execute(`select 1 from pg_class where relname = '${index}'`);
      return rows.length > 0;
    });
    const seen = await ensureMikroOrmDurableSchema(orm, { retry: { forMs: 1000 } }).finally(() => cancelBuild(orm));
    const outcome = await building;
    await writer.rollback();
    expect(outcome).toBeInstanceOf(Error);
    expect(seen).toEqual({ executed: [], notes: [expect.stringContaining(index)] });
    const { notes } = await ensureMikroOrmDurableSchema(orm);
    expect(notes).toEqual([expect.stringContaining(`drop index concurrently ${index}`)]);
    await sql(orm).execute(`drop index ${index}`);
    expect((await ensureMikroOrmDurableSchema(orm)).executed).toHaveLength(1);
  });

  it.each([
    ['citext', ['create extension if not exists citext', 'alter table durable_signal_waiters alter token type citext']],
    [
      'a collation that ignores case',
      [
        "create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        'alter table durable_signal_waiters alter token type text collate ci',
      ],
    ],
    ['blanks at the end', ['alter table durable_signal_waiters alter token type character(200)']],
  ])('refuses keys under %s', async (_name, statements) => {
    const orm = await db.openReady();
    for (const statement of statements) await sql(orm).execute(statement);
    await expect(ensureMikroOrmDurableSchema(orm)).rejects.toMatchObject({
      code: 'DURABLE_SCHEMA_INCOMPATIBLE',
      problems: [expect.stringContaining('durable_signal_waiters.token')],
    });
  });
});

eachDatabase(ofFamily('sqlite'), (kind) => {
  it('refuses keys under a collation that ignores case', async () => {
    const db = await TestDatabase.create(kind);
    const orm = await db.openReady();
    await sql(orm).execute('drop table durable_signal_waiters');
    await sql(orm).execute(
      'create table durable_signal_waiters (token text collate nocase primary key, run_id text not null, seq integer not null, parallel_group text)',
    );
    await expect(ensureMikroOrmDurableSchema(orm)).rejects.toMatchObject({
      code: 'DURABLE_SCHEMA_INCOMPATIBLE',
      problems: [expect.stringContaining('collation nocase')],
    });
    await db.drop();
  });

  it.each([
    ['of the entities', { entities: [...durableEntities({ schema: 'main' })] }],
    ['of the config', { schema: 'main' }],
  ])('works with the schema main %s', async (_name, options) => {
    const db = await TestDatabase.create(kind);
    const orm = await db.open(options);
    const store = new MikroOrmStateStore(orm);
    await store.ensureSchema();
    expect((await ensureMikroOrmDurableSchema(orm)).executed).toEqual([]);
    await store.createRun(aRun({ id: 'r', searchAttributes: { n: 1 } }));
    expect(await store.listRuns({ attributes: [{ key: 'n', op: 'eq', value: 1 }] })).toHaveLength(1);
    await db.drop();
  });

  it('refuses any other schema by name', async () => {
    const db = await TestDatabase.create(kind);
    const orm = await db.open({ entities: [...durableEntities({ schema: 'flows' })] });
    const refusal = { code: 'DURABLE_UNSUPPORTED_SCHEMA', message: expect.stringContaining('flows') };
    expect(() => new MikroOrmStateStore(orm)).toThrow(expect.objectContaining(refusal));
    await expect(ensureMikroOrmDurableSchema(orm)).rejects.toMatchObject(refusal);
    await db.drop();
  });
});

async function cancelBuild(orm: MikroORM): Promise<void> {
  await sql(orm).execute(
    'select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() ' +
      "and query like 'create index concurrently%' and pid <> pg_backend_pid()",
  );
}
