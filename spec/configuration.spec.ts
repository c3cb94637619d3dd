import { EntityCaseNamingStrategy } from '@mikro-orm/core';
import { MikroORM as MongoOrm } from '@mikro-orm/mongodb';
import {
  DurableConfigurationError,
  durableEntities,
  ENTITIES,
  ensureMikroOrmDurableSchema,
  MikroOrmStateStore,
  WorkflowRunEntity,
} from '../lib';
import { connect, connection, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';
import { HostOrderEntity } from './support/host';

describe('durableEntities', () => {
  it('refuses names that are no plain identifiers', () => {
    for (const naming of ['a"b', 'a;b', "a' or 1=1", '', 'a b', 'x'.repeat(64)]) {
      expect(() => durableEntities({ naming: () => naming })).toThrow(TypeError);
    }
    expect(() => durableEntities({ naming: 'kebab-case' as never })).toThrow(TypeError);
    expect(() => durableEntities({ schema: 'a";drop' })).toThrow(TypeError);
  });

  it('refuses a naming that gives two columns of a table one name', () => {
    expect(() => durableEntities({ naming: (property) => property.slice(0, 3) })).toThrow(/one name/);
  });
});

it('names the entities an ORM lacks and how to register them', async () => {
  const orm = await connect('better-sqlite', { dbName: ':memory:', entities: [WorkflowRunEntity] });
  const attempts = [() => new MikroOrmStateStore(orm), () => ensureMikroOrmDurableSchema(orm)];
  for (const attempt of attempts) {
    const failure = await (async () => attempt())().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DurableConfigurationError);
    expect(failure).toMatchObject({ code: 'DURABLE_ENTITIES_NOT_REGISTERED' });
    expect((failure as Error).message).toContain('durable_step_checkpoints');
    expect((failure as Error).message).not.toContain('durable_workflow_runs');
    expect((failure as Error).message).toContain('entities: [...ENTITIES');
  }
  await orm.close();
});

it('refuses a driver that is not SQL, naming those that are', async () => {
  const orm = await MongoOrm.init({ dbName: 'none', connect: false, discovery: { warnWhenNoEntities: false } });
  expect(() => new MikroOrmStateStore(orm)).toThrow(DurableConfigurationError);
  expect(() => new MikroOrmStateStore(orm)).toThrow(/SQLite, PostgreSQL, MySQL 8 and MariaDB/);
  await orm.close();
});

it('serves two ORMs of different databases in one process from the same entities', async () => {
  const kinds = KINDS.filter(({ missing }) => !missing);
  const databases = await Promise.all(kinds.map((kind) => TestDatabase.create(kind)));
  const stores = await Promise.all(databases.map((db) => db.store()));
  const run = aRun({ tags: ['t'], searchAttributes: { city: 'Lisboa' } });
  for (const store of stores) {
    await store.createRun(run);
    expect(await store.listRuns({ tag: 't', attributes: [{ key: 'city', op: 'eq', value: 'Lisboa' }] })).toHaveLength(
      1,
    );
  }
  await Promise.all(databases.map((db) => db.drop()));
});

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeEach(async () => {
    db = await TestDatabase.create(kind);
  });
  afterEach(() => db.drop());

  it.each([
    ['preserve', 'preserve' as const],
    ['a function', (property: string, table: string) => `${table.slice(8, 11)}_${property.toUpperCase()}`],
  ])('works with column naming by %s', async (_name, naming) => {
    const orm = await db.open({ entities: [...durableEntities({ naming }), HostOrderEntity] });
    const store = new MikroOrmStateStore(orm);
    await store.ensureSchema();
    expect((await ensureMikroOrmDurableSchema(orm)).executed).toEqual([]);
    await roundTrip(store);
  });

  it('ignores the naming strategy of the host', async () => {
    const orm = await db.openReady({ namingStrategy: EntityCaseNamingStrategy });
    expect((await ensureMikroOrmDurableSchema(orm)).executed).toEqual([]);
    await roundTrip(new MikroOrmStateStore(orm));
  });

  it('reads its own rows through the host’s entity queries as well', async () => {
    const orm = await db.openReady({ timezone: '-05:00', forceUtcTimezone: false });
    const store = new MikroOrmStateStore(orm);
    const run = aRun({ wakeAt: 1_790_000_000_123, tags: ['a', 'b'], input: { z: 1, a: null } });
    await store.createRun(run);
    const row = await orm.em.fork().findOneOrFail(WorkflowRunEntity, run.id);
    expect(row).toMatchObject({ ...run, namespace: 'default' });
    expect(Object.keys(row.input as object)).toEqual(['z', 'a']);
    const found = await orm.em.fork().find(WorkflowRunEntity, { createdAt: { $lte: run.createdAt } });
    expect(found).toHaveLength(1);
  });
});

eachDatabase(
  KINDS.filter(({ family }) => family === 'postgresql'),
  (kind) => {
    let db: TestDatabase;

    beforeEach(async () => {
      db = await TestDatabase.create(kind);
    });
    afterEach(() => db.drop());

    it.each([
      ['of the entities', { entities: [...durableEntities({ schema: 'flows' })] }],
      ['of the config', { schema: 'flows', entities: [...ENTITIES] }],
    ])('keeps the tables in the schema %s', async (_name, options) => {
      const orm = await db.open(options);
      const store = new MikroOrmStateStore(orm);
      await store.ensureSchema();
      expect((await ensureMikroOrmDurableSchema(orm)).executed).toEqual([]);
      await roundTrip(store);
      const tables = await sql(orm).execute(
        "select table_schema from information_schema.tables where table_name like 'durable%' group by table_schema",
      );
      expect(tables).toEqual([{ table_schema: 'flows' }]);
      const indexes = await sql(orm).execute(
        "select distinct schemaname from pg_indexes where indexname like 'durable%'",
      );
      expect(indexes).toEqual([{ schemaname: 'flows' }]);
    });

    it('leaves a wildcard schema to the EntityManager', async () => {
      const orm = await db.open({ entities: [...durableEntities({ schema: '*' })] });
      await sql(orm).execute('create schema tenant_a');
      const em = orm.em.fork({ schema: 'tenant_a' });
      await ensureMikroOrmDurableSchema(em);
      expect((await ensureMikroOrmDurableSchema(em)).executed).toEqual([]);
      await roundTrip(new MikroOrmStateStore({ em }));
    });

    it('finds tables that the search path, not a schema name, points to', async () => {
      const orm = await db.open({
        driverOptions: { connection: { options: '-c search_path=elsewhere' } },
      });
      await sql(orm).execute('create schema elsewhere');
      await ensureMikroOrmDurableSchema(orm);
      expect((await ensureMikroOrmDurableSchema(orm)).executed).toEqual([]);
      await roundTrip(new MikroOrmStateStore(orm));
    });

    it('needs no right to create anything once the tables are there', async () => {
      const owner = await db.openReady();
      const role = `reader_${process.pid}`;
      await sql(owner).execute(`create role ${role} login password 'x'`);
      await sql(owner).execute(`grant select, insert, update, delete on all tables in schema public to ${role}`);
      await sql(owner).execute(`grant usage on all sequences in schema public to ${role}`);
      const guest = await db.open({ user: role, password: 'x' });
      const store = new MikroOrmStateStore(guest);
      await store.ensureSchema();
      await roundTrip(store);
      await guest.close(true);
      await sql(owner).execute(`drop owned by ${role}`);
      await sql(owner).execute(`drop role ${role}`);
    });
  },
);

eachDatabase(
  KINDS.filter(({ family }) => family === 'mysql'),
  (kind) => {
    let db: TestDatabase;

    beforeEach(async () => {
      db = await TestDatabase.create(kind);
    });
    afterEach(() => db.drop());

    const MEANING_OTHERS = [
      'NO_BACKSLASH_ESCAPES',
      ...(kind.system === 'mariadb' ? ['EMPTY_STRING_IS_NULL', 'ORACLE'] : []),
    ];
    it.each(MEANING_OTHERS)(
      'refuses a connection in the sql_mode %s, under which statements mean something else',
      async (mode) => {
        await db.ensureSchema();
        const store = new MikroOrmStateStore(await withSqlMode(db, mode));
        for (const call of [() => store.getRun('r'), () => store.ensureSchema()]) {
          const failure = await call().catch((error) => error);
          expect(failure).toBeInstanceOf(DurableConfigurationError);
          expect(failure).toMatchObject({
            code: 'DURABLE_UNSUPPORTED_SQL_MODE',
            message: expect.stringContaining(mode),
          });
        }
      },
    );

    it.each(['', 'ANSI_QUOTES', 'PIPES_AS_CONCAT,IGNORE_SPACE'])('works under the sql_mode "%s"', async (mode) => {
      await db.ensureSchema();
      await roundTrip(new MikroOrmStateStore(await withSqlMode(db, mode)));
    });
  },
);

/** An ORM whose every connection begins by setting its sql_mode. */
async function withSqlMode(db: TestDatabase, mode: string) {
  return db.open({
    ...connection(db.kind, db.dbName),
    pool: {
      min: 0,
      max: 2,
      afterCreate: (
        raw: { query(text: string, done: (error: unknown) => void): void },
        done: (e: unknown, c: unknown) => void,
      ) => raw.query(`set session sql_mode = '${mode}'`, (error) => done(error, raw)),
    } as never,
  });
}

async function roundTrip(store: MikroOrmStateStore): Promise<void> {
  const run = aRun({
    input: { quote: `'"\\`, order: { z: 1, a: 2 } },
    tags: [`it's`, 'back\\slash'],
    searchAttributes: { total: 0.1, city: 'São Paulo' },
    wakeAt: 1_790_000_000_123,
    status: 'suspended',
  });
  await store.createRun(run);
  expect(await store.getRun(run.id)).toEqual({ ...run, namespace: 'default' });
  expect(await store.listRuns({ tag: 'back\\slash' })).toHaveLength(1);
  expect(await store.listRuns({ attributes: [{ key: 'city', op: 'eq', value: 'São Paulo' }] })).toHaveLength(1);
  expect(await store.listDueTimers(1_790_000_000_123)).toHaveLength(1);
  const checkpoint = aCheckpoint({ runId: run.id, seq: -1, output: null });
  await store.saveCheckpoint(checkpoint);
  expect(await store.listCheckpoints(run.id)).toEqual([checkpoint]);
  await store.putSignalWaiter({ token: 't', runId: run.id, seq: 0 });
  expect(await store.takeSignalWaiter('t')).toEqual({ token: 't', runId: run.id, seq: 0 });
  await store.bufferEvent({ name: 'n', id: 'e', payload: 1, publishedAt: 5 });
  expect(await store.listBufferedEvents('n', 9)).toEqual([{ id: 'e', payload: 1, publishedAt: 5 }]);
  await store.bufferSignal('t', 'x');
  expect(await store.takeBufferedSignal('t')).toEqual({ payload: 'x' });
}
