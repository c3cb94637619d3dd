import { type MikroORM, type Options, Utils } from '@mikro-orm/core';
import { Migration, Migrator } from '@mikro-orm/migrations';
import {
  durableManagedTables,
  durableSchemaSql,
  ENTITIES,
  ensureMikroOrmDurableSchema,
  MikroOrmStateStore,
  planMikroOrmDurableSchema,
} from '../../lib';
import { dropsSkippedTables } from '../../lib/skipped-tables';
import { eachDatabase, KINDS, sql, TestDatabase } from '../support/databases';
import { fill, HostProject, MIGRATED } from './host-project';

const ours = durableManagedTables();
const skipping = { schemaGenerator: { skipTables: ours } };
const version = Utils.getORMVersion();

/** What the page says of configs that lose every run, as this version of MikroORM does it. */
eachDatabase(MIGRATED, (kind) => {
  let db: TestDatabase;
  let application: HostProject;
  let host: HostProject;

  beforeEach(async () => {
    if (kind.family === 'mysql') jest.spyOn(console, 'log').mockImplementation(() => undefined);
    db = await TestDatabase.create(kind);
    application = new HostProject(db, { entities: [...ENTITIES] });
    host = new HostProject(db, {});
    await application.run(0, async (orm) => {
      await ensureMikroOrmDurableSchema(orm);
      await sql(orm).execute('create table host_orders (id varchar(255) primary key, total int not null)');
      await fill(orm);
    });
  });
  afterEach(async () => {
    application.remove();
    host.remove();
    await db.drop();
    jest.restoreAllMocks();
  });

  /** Which of the five tables the next migration drops. */
  async function droppedByNext(changes: number): Promise<string[]> {
    const { up } = await host.createMigration(changes);
    return ours.filter((table) => up.some((statement) => /^drop table/.test(statement) && statement.includes(table)));
  }

  it('drops skipped tables of registered entities in the second round, once its snapshot has seen them', async () => {
    host.config = { entities: [...ENTITIES], ...skipping };
    expect(await droppedByNext(1)).toEqual(dropsSkippedTables(version, false) ? ours : []);
    await host.up(1);
    expect(await droppedByNext(2)).toEqual(dropsSkippedTables(version, true) ? ours : []);
    await host.up(2);
    const left = application.run(2, (orm) => sql(orm).execute('select * from durable_workflow_runs'));
    await expect(left).rejects.toThrow(/no such table|does not exist|doesn't exist/);
  });

  it('keeps skipped tables of registered entities without a snapshot', async () => {
    host.config = { entities: [...ENTITIES], ...skipping, migrations: { snapshot: false } };
    for (const changes of [1, 2]) {
      expect(await droppedByNext(changes)).toEqual([]);
      await host.up(changes);
    }
  });

  it('drops skipped tables of entities that are not registered, once its snapshot has seen them', async () => {
    host.config = skipping;
    expect(await droppedByNext(1)).toEqual([]);
    await host.up(1);
    expect(await droppedByNext(2)).toEqual(dropsSkippedTables(version, true) ? ours : []);
  });

  it('drops tables it was told nothing about at once', async () => {
    expect(await droppedByNext(1)).toEqual(ours);
  });

  it.each([{ safe: true }, { dropTables: false }])('drops nothing under %j', async (migrations) => {
    host.config = { migrations };
    expect(await droppedByNext(1)).toEqual([]);
  });

  it('wants to create tables that are there when its snapshot is older than the entities', async () => {
    host.config = { migrations: { dropTables: false } };
    await host.createMigration(1);
    host.config = { entities: [...ENTITIES] };
    const { up } = await host.createMigration(1);
    expect(up.filter((statement) => /^create table .?durable_/.test(statement))).toHaveLength(5);
    await expect(host.up(1)).rejects.toThrow(/already exists|unknown collation/i);
    expect(await application.run(0, (orm) => sql(orm).execute('select * from durable_workflow_runs'))).toHaveLength(1);
  });
});

describe('a config whose migrations would drop the tables', () => {
  const kind = KINDS.find(({ driver }) => driver === 'better-sqlite')!;
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
  });
  afterAll(() => db.drop());

  const refusal = expect.objectContaining({ name: 'DurableConfigurationError', code: 'DURABLE_TABLES_SKIPPED' });

  function refusalOf(orm: MikroORM): unknown {
    try {
      new MikroOrmStateStore(orm);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  it.each<[string, Options]>([
    ['the migrator', { ...skipping, extensions: [Migrator] }],
    ['a folder of migrations', { ...skipping, migrations: { path: './dist/migrations' } }],
    ['a folder of TypeScript migrations', { ...skipping, migrations: { pathTs: './src/migrations' } }],
    ['one table of them', { schemaGenerator: { skipTables: ['Durable_Signal_Waiters'] }, extensions: [Migrator] }],
    ['a pattern', { schemaGenerator: { skipTables: [/^durable_/g] }, extensions: [Migrator] }],
    [
      'a name with its schema',
      { schema: 'main', schemaGenerator: { skipTables: ['main.durable_workflow_runs'] }, extensions: [Migrator] },
    ],
  ])('is refused, with %s', async (_, options) => {
    const orm = await db.open(options);
    expect(refusalOf(orm)).toEqual(refusal);
    await expect(ensureMikroOrmDurableSchema(orm)).rejects.toEqual(refusal);
    await expect(planMikroOrmDurableSchema(orm)).rejects.toEqual(refusal);
    await expect(durableSchemaSql(orm)).rejects.toEqual(refusal);
  });

  it.each<[string, Options]>([
    ['whose migrations keep no snapshot', { ...skipping, extensions: [Migrator], migrations: { snapshot: false } }],
    ['whose migrations drop no tables', { ...skipping, extensions: [Migrator], migrations: { dropTables: false } }],
    ['whose migrations are safe', { ...skipping, extensions: [Migrator], migrations: { safe: true } }],
    ['that has no migrations', skipping],
    ['that skips tables of its own', { schemaGenerator: { skipTables: ['geo', /^pg_/] }, extensions: [Migrator] }],
    ['that skips nothing', { extensions: [Migrator], migrations: { path: './dist/migrations' } }],
  ])('is not one %s', async (_, options) => {
    expect(refusalOf(await db.open(options))).toBeUndefined();
  });

  it('stops the migration that would have made the tables', async () => {
    class AddDurableTables extends Migration {
      override async up(): Promise<void> {
        await ensureMikroOrmDurableSchema(this.getEntityManager());
      }
    }
    const migrations = { migrationsList: [{ name: 'AddDurableTables', class: AddDurableTables }], silent: true };
    const orm = await db.open({ ...skipping, extensions: [Migrator], migrations });
    await expect(orm.getMigrator().up()).rejects.toThrow('Take them out of skipTables');
  });

  it.each([
    ['6.4.16', false, false],
    ['6.5.9', true, true],
    ['6.6.2', true, true],
    ['6.6.3', true, false],
    ['6.6.16', true, false],
    ['7.1.11', true, false],
    ['7.1.12', false, false],
    ['7.2.1', false, false],
    ['8.0.0', false, false],
  ])('depends on the version of MikroORM: %s', (of, withSnapshot, without) => {
    expect([dropsSkippedTables(of, true), dropsSkippedTables(of, false)]).toEqual([withSnapshot, without]);
  });
});
