import type { Options } from '@mikro-orm/core';
import {
  type DurableEntities,
  type DurableEntitiesOptions,
  durableEntities,
  ENTITIES,
  ensureMikroOrmDurableSchema,
} from '../../lib';
import { type DatabaseKind, eachDatabase, sql, TestDatabase } from '../support/databases';
import { block, evaluate } from '../support/pages';
import { fill, HostProject, MIGRATED, rows } from './host-project';

const PAGE = 'docs/migrations.md';

/** The config file a block of the page shows, for this kind's driver. */
function configOf(label: string, kind: DatabaseKind): Options {
  return evaluate(block(PAGE, 'ts', label), kind.driver).default as Options;
}

eachDatabase(MIGRATED, (kind) => {
  let db: TestDatabase;
  const projects: HostProject[] = [];

  beforeEach(async () => {
    // knex prints that MySQL has committed at each DDL statement.
    if (kind.family === 'mysql') jest.spyOn(console, 'log').mockImplementation(() => undefined);
    db = await TestDatabase.create(kind);
  });
  afterEach(async () => {
    for (const created of projects.splice(0)) created.remove();
    await db.drop();
    jest.restoreAllMocks();
  });

  function project(config: Options): HostProject {
    const created = new HostProject(db, config);
    projects.push(created);
    return created;
  }

  const registered = () => configOf('registered', kind);

  /** The same config where MikroORM writes the DDL: through MySQL's driver it cannot ask which server it is. */
  function registeredForGenerator(): Options {
    const entities = (evaluate(block(PAGE, 'ts', 'mariadb'), kind.driver) as { entities: DurableEntities }).entities;
    return kind.driver === 'mysql' && kind.system === 'mariadb' ? { ...registered(), entities } : registered();
  }

  /** The host's first migration, of its own table alone. */
  async function begin(host: HostProject): Promise<void> {
    const { up } = await host.createAndUp(0);
    expect(up).toEqual([expect.stringMatching(/^create table .host_orders. /)]);
  }

  /**
   * The host changes its own table twice, each change a migration that says nothing of ours and takes no row of
   * anybody, and the application boots after each.
   */
  async function expectTwoRounds(host: HostProject, application = host, schema?: string): Promise<void> {
    const before = await application.run(0, async (orm) => {
      await fill(orm);
      return rows(orm, schema);
    });
    expect(Object.values(before).map(({ length }) => length)).toEqual([1, 1, 3, 1, 2, 1]);
    for (const [changes, column] of [
      [1, 'note'],
      [2, 'paid_by'],
    ] as const) {
      const { up, down, ran } = await host.createAndUp(changes);
      expect(ran).toBe(1);
      expect([...up, ...down].filter((statement) => !statement.includes('host_orders'))).toEqual([]);
      expect(up.join()).toContain(column);
      await application.run(changes, async (orm) => {
        expect(await ensureMikroOrmDurableSchema(orm)).toEqual({ executed: [], notes: [] });
        expect(await rows(orm, schema)).toEqual(before);
      });
    }
  }

  describe('with the entities registered', () => {
    it('keeps tables that boot has made', async () => {
      const host = project(registered());
      await host.run(0, ensureMikroOrmDurableSchema);
      await begin(host);
      await expectTwoRounds(host);
    });

    it('keeps tables that its migration has made', async () => {
      const host = project({ ...registered(), entities: [] });
      await begin(host);
      host.config = registered();
      await host.createMigration(0, { blank: true });
      host.writeLast(block(PAGE, 'ts', 'migration'));
      expect(await host.up(0)).toBe(1);
      await expectTwoRounds(host);
    });

    it("keeps tables that boot had made before the README's migration was written", async () => {
      const host = project({ ...registered(), entities: [] });
      await begin(host);
      host.config = registered();
      await host.run(0, ensureMikroOrmDurableSchema);
      await host.createMigration(0, { blank: true });
      host.writeLast(block('README.md', 'ts', '@mikro-orm/migrations'));
      expect(await host.up(0)).toBe(1);
      await expectTwoRounds(host);
    });

    it('keeps tables of the text that a migration queued', async () => {
      const host = project(registeredForGenerator());
      await host.createMigration(0, { blank: true });
      host.writeLast(block(PAGE, 'ts', 'text'));
      await host.up(0);
      await begin(host);
      await expectTwoRounds(host);
    });

    it("keeps tables that MikroORM's schema generator has made", async () => {
      const host = project(registeredForGenerator());
      await host.run(0, (orm) => orm.schema.updateSchema());
      await expectTwoRounds(host);
    });

    it.each([true, false])('keeps tables of a generated migration, the initial one: %p', async (initial) => {
      const host = project(registeredForGenerator());
      await host.createAndUp(0, { initial });
      await expectTwoRounds(host);
    });

    it.each<[string, Options['migrations'], DurableEntitiesOptions]>([
      [
        'safe, emitted as JavaScript, not all or nothing, property names for columns',
        { safe: true, emit: 'js', allOrNothing: false },
        { naming: 'preserve' },
      ],
      [
        'foreign keys off, no transaction, no drop, no snapshot',
        { disableForeignKeys: true, transactional: false, dropTables: false, snapshot: false },
        {},
      ],
    ])('keeps them under: %s', async (_, migrations, naming) => {
      const host = project({ ...registered(), entities: durableEntities(naming), migrations });
      await host.run(0, ensureMikroOrmDurableSchema);
      await begin(host);
      await expectTwoRounds(host);
    });
  });

  describe('with migrations from a config without the entities', () => {
    it('keeps tables that boot has made', async () => {
      const application = project({ entities: [...ENTITIES] });
      const host = project(configOf('apart', kind));
      await application.run(0, ensureMikroOrmDurableSchema);
      await begin(host);
      await expectTwoRounds(host, application);
      expect(host.snapshotTables()).toBeUndefined();
    });
  });

  if (kind.driver === 'mysql' && kind.system === 'mariadb') {
    it('is rid of the check on a json column of MariaDB by the statement of the page', async () => {
      const host = project(registered());
      await host.run(0, async (orm) => {
        await ensureMikroOrmDurableSchema(orm);
        const diff = async () =>
          (await orm.schema.getUpdateSchemaSQL({ wrap: false, safe: true })).match(/.*durable_.*/g);
        await sql(orm).execute('alter table durable_workflow_runs modify tags json null');
        expect(await diff()).toEqual(['alter table `durable_workflow_runs` drop constraint tags;']);
        await sql(orm).execute(block(PAGE, 'sql', 'modify tags'));
        expect(await diff()).toBeNull();
      });
    });
  }

  if (kind.family === 'sqlite') return;

  describe('with the tables in another schema', () => {
    let other: TestDatabase;

    beforeEach(async () => {
      other = await TestDatabase.create(kind);
    });
    afterEach(() => other.drop());

    // To MySQL a schema is a database.
    const schemaName = () => (kind.family === 'mysql' ? other.dbName : 'workflows');

    it('keeps them when migrations come from a config without the entities', async () => {
      const application = project({ entities: durableEntities({ schema: schemaName() }) });
      const host = project(configOf('apart', kind));
      await application.run(0, ensureMikroOrmDurableSchema);
      await begin(host);
      await expectTwoRounds(host, application, schemaName());
    });

    it('keeps them with the entities registered, or creates them for ever where MikroORM does not look', async () => {
      const host = project({ ...registered(), entities: durableEntities({ schema: schemaName() }) });
      await host.run(0, ensureMikroOrmDurableSchema);
      if (kind.family === 'postgresql') {
        await begin(host);
        await expectTwoRounds(host, host, schemaName());
      } else {
        const { up } = await host.createMigration(0);
        expect(up.filter((statement) => /^create table .*durable_/.test(statement))).toHaveLength(5);
      }
    });
  });
});
