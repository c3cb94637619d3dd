import type { MikroORM, Options } from '@mikro-orm/core';
import { Migration, Migrator } from '@mikro-orm/migrations';
import {
  durableEntities,
  durableManagedTables,
  ENTITIES,
  ensureMikroOrmDurableSchema,
  MikroOrmStateStore,
  type MySqlCollation,
  planMikroOrmDurableSchema,
} from '../lib';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aRun } from './support/fixtures';
import { block, evaluate } from './support/pages';

type MigrationClass = new (...args: never[]) => Migration;
type Migrations = Record<string, MigrationClass>;

/** The migration a block of the page declares. */
function documented(label: string): MigrationClass {
  const [migration] = Object.values(evaluate(block('docs/migrations.md', 'ts', label), 'better-sqlite'));
  return migration as MigrationClass;
}

const AddDurableTables = documented('migration');
const AddDurableTablesAsText = documented('text');

class CreateInvoices extends Migration {
  override async up(): Promise<void> {
    this.addSql('create table invoices (id integer primary key, total integer not null)');
    this.addSql('insert into invoices (id, total) values (1, 42)');
  }
}

class AddColumnToInvoices extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table invoices add column paid integer null');
    this.addSql('update invoices set paid = 1');
  }
}

/** Queued statements run after those of the schema function, in the same transaction. */
class MixedWithAddSql extends Migration {
  override async up(): Promise<void> {
    this.addSql("insert into durable_signal_waiters (token, run_id, seq) values ('t', 'r', 0)");
    await ensureMikroOrmDurableSchema(this.getEntityManager());
    this.addSql('create table after_durable (id integer primary key)');
  }
}

eachDatabase(KINDS, (kind) => {
  const undoesDdl = kind.family !== 'mysql';
  let db: TestDatabase;

  beforeEach(async () => {
    // knex prints that MySQL has committed at each DDL statement, which is what some of these cases are about.
    if (!undoesDdl) jest.spyOn(console, 'log').mockImplementation(() => undefined);
    db = await TestDatabase.create(kind);
  });
  afterEach(async () => {
    await db.drop();
    jest.restoreAllMocks();
  });

  /** An ORM with one connection, as a migration job has. */
  async function migrating(migrations: Migrations, options: Options = {}): Promise<MikroORM> {
    return db.open({
      pool: { min: 1, max: 1 },
      extensions: [Migrator],
      logger: () => undefined,
      migrations: {
        snapshot: false,
        migrationsList: Object.entries(migrations).map(([name, type]) => ({
          name,
          class: type as typeof Migration as never,
        })),
      },
      ...options,
    });
  }

  async function tables(orm: MikroORM): Promise<string[]> {
    const where = {
      sqlite: "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'",
      postgresql: 'select tablename as name from pg_tables where schemaname = current_schema()',
      mysql: 'select table_name as name from information_schema.tables where table_schema = database()',
    }[kind.family];
    const rows = await sql(orm).execute<{ name: string }[]>(where);
    return rows.map(({ name }) => name).sort();
  }

  const ours = durableManagedTables();

  async function expectWorkingStore(orm: MikroORM): Promise<void> {
    expect(await planMikroOrmDurableSchema(orm)).toEqual({ missing: [], statements: [], notes: [], problems: [] });
    const store = new MikroOrmStateStore(orm);
    const run = aRun({ searchAttributes: { tier: 'pro' } });
    await store.createRun(run);
    expect(await store.getRun(run.id)).toMatchObject({ id: run.id, createdAt: run.createdAt });
  }

  it('makes the tables through the one connection of a migration, and leaves those of the host alone', async () => {
    const orm = await migrating({ '1': CreateInvoices, '2': AddDurableTables });
    await orm.getMigrator().up();
    expect(await tables(orm)).toEqual([...ours, 'invoices', 'mikro_orm_migrations'].sort());
    expect(await sql(orm).execute('select * from invoices')).toEqual([{ id: 1, total: 42 }]);
    await expectWorkingStore(orm);
  });

  it('goes up, down and up again', async () => {
    const orm = await migrating({ '1': AddDurableTables });
    await orm.getMigrator().up();
    await orm.getMigrator().down();
    expect(await tables(orm)).toEqual(['mikro_orm_migrations']);
    await orm.getMigrator().up();
    await expectWorkingStore(orm);
  });

  it('stands between migrations that queue their statements', async () => {
    const orm = await migrating({ '1': CreateInvoices, '2': AddDurableTables, '3': AddColumnToInvoices });
    const done = await orm.getMigrator().up();
    expect(done.map(({ name }) => name)).toEqual(['1', '2', '3']);
    expect(await sql(orm).execute('select * from invoices')).toEqual([{ id: 1, total: 42, paid: 1 }]);
    await expectWorkingStore(orm);
  });

  it('has its tables ready for what the same migration queued, even before the call', async () => {
    const orm = await migrating({ '1': MixedWithAddSql });
    await orm.getMigrator().up();
    expect(await tables(orm)).toContain('after_durable');
    expect(await new MikroOrmStateStore(orm).takeSignalWaiter('t')).toMatchObject({ runId: 'r', seq: 0 });
  });

  it(`${undoesDdl ? 'leaves nothing behind of' : 'can be repeated after'} a migration that fails`, async () => {
    let mayPass = false;
    class Failing extends Migration {
      override async up(): Promise<void> {
        await ensureMikroOrmDurableSchema(this.getEntityManager());
        if (!mayPass) throw new Error('the rest of this migration is broken');
      }
    }
    const orm = await migrating({ '1': CreateInvoices, '2': Failing });
    await expect(orm.getMigrator().up()).rejects.toThrow('the rest of this migration is broken');
    const left = (await tables(orm)).filter((name) => ours.includes(name));
    expect(left).toEqual(undoesDdl ? [] : ours.slice().sort());
    mayPass = true;
    await orm.getMigrator().up();
    await expectWorkingStore(orm);
  });

  it('adds nothing to tables that are complete', async () => {
    await db.ensureSchema();
    const orm = await migrating({ '1': AddDurableTables });
    const before = await tables(orm);
    await orm.getMigrator().up();
    expect(await tables(orm)).toEqual([...before, 'mikro_orm_migrations'].sort());
  });

  it('makes the same tables from text that is queued', async () => {
    // Text cannot ask the server: under the MySQL driver the entities say which collation it knows.
    const entities =
      kind.family === 'mysql' ? [...durableEntities({ collation: await serverCollation() })] : [...ENTITIES];
    const orm = await migrating({ '1': AddDurableTablesAsText }, { entities });
    await orm.getMigrator().up();
    await expectWorkingStore(orm);
  });

  async function serverCollation(): Promise<MySqlCollation> {
    const [row] = await sql(await db.open()).execute<{ version: string }[]>('select version() as version');
    return /mariadb/i.test(row?.version ?? '') ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin';
  }
});
