import type { EntityManager, EntityMetadata, MikroORM } from '@mikro-orm/core';
import { WorkflowRunEntity } from '../lib';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { QueryLog } from './support/query-log';

/** What MikroORM documents nowhere and this library leans on: a version that changes one of these goes red here, by name. */
eachDatabase(KINDS, (kind) => {
  const log = new QueryLog();
  let db: TestDatabase;
  let orm: MikroORM;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady(log.options);
  });
  afterAll(() => db.drop());

  describe('its schema generator', () => {
    interface Generator {
      getOrderedMetadata(schema?: string): EntityMetadata[];
      getTargetSchema(): { getTables(): { name: string }[] };
      getUpdateSchemaMigrationSQL(options: object): Promise<{ up: string }>;
    }
    const generator = () => orm.em.getPlatform().getSchemaGenerator(orm.em.getDriver(), orm.em) as unknown as Generator;
    const ofRuns = (target: Generator) =>
      target.getOrderedMetadata().filter((meta) => meta.className === WorkflowRunEntity.meta.className);

    it('is made anew for each asking, and takes its entities from a method that can be replaced on it', () => {
      const replaced = generator();
      const runs = ofRuns(replaced);
      replaced.getOrderedMetadata = () => runs;
      expect(replaced.getTargetSchema().getTables()).toMatchObject([{ name: 'durable_workflow_runs' }]);
      expect(generator().getTargetSchema().getTables().length).toBeGreaterThan(5);
    });

    it('compares with a schema it is given, without asking the database', async () => {
      const replaced = generator();
      const runs = ofRuns(replaced);
      replaced.getOrderedMetadata = () => [];
      const fromSchema = replaced.getTargetSchema();
      replaced.getOrderedMetadata = () => runs;
      log.take();
      const { up } = await replaced.getUpdateSchemaMigrationSQL({
        fromSchema,
        safe: true,
        dropTables: false,
        wrap: false,
      });
      expect(log.take()).toEqual([]);
      expect(up).toMatch(/create table .durable_workflow_runs/);
      expect(up).not.toMatch(/host_orders|drop/);
    });
  });

  it('hands the platform to custom types at discovery, with metadata that belongs to one ORM', () => {
    const meta = orm.getMetadata().get(WorkflowRunEntity.meta.className);
    expect(meta).not.toBe(WorkflowRunEntity.meta);
    for (const { expression } of meta.indexes) expect(typeof expression === 'function' ? expression.length : 0).toBe(0);
    expect(JSON.stringify(WorkflowRunEntity.meta.indexes.map(({ name }) => name))).toContain('tags_idx');
    expect(meta.indexes.some(({ name }) => name === 'durable_workflow_runs_tags_idx')).toBe(
      kind.family === 'postgresql',
    );
  });

  it('labels a statement in the query log', async () => {
    const em = orm.em.fork() as unknown as {
      execute(text: string, params: unknown[], method: string, logged: object): Promise<unknown>;
    };
    const sent = await log.of(() => em.execute('select 1', [], 'all', { label: 'mine' }));
    expect(sent.map(({ label }) => label)).toEqual(['mine']);
  });

  it('forks out of an ambient transaction, or into it', async () => {
    await orm.em.fork().transactional(async (inner) => {
      const outside = orm.em.fork({ disableContextResolution: true });
      expect(outside.getTransactionContext()).toBeUndefined();
      const inside = inner.fork({ keepTransactionContext: true });
      expect(inside.getTransactionContext()).toBe(inner.getTransactionContext());
      expect(orm.em.isInTransaction()).toBe(true);
    });
    expect(orm.em.isInTransaction()).toBe(false);
  });

  it('tells whether a transaction is over', async () => {
    let ctx: { isCompleted?: () => boolean } | undefined;
    await orm.em.fork().transactional(async (inner) => {
      ctx = inner.getTransactionContext() as typeof ctx;
      expect(ctx?.isCompleted?.()).toBe(false);
    });
    expect(ctx?.isCompleted?.()).toBe(true);
  });

  it('begins, commits and rolls back on a connection, for an EntityManager that is given the transaction', async () => {
    const connection = orm.em.getConnection('write') as unknown as {
      begin(options: object): Promise<unknown>;
      commit(ctx: unknown, events: undefined, logged: object): Promise<void>;
      rollback(ctx: unknown, events: undefined, logged: object): Promise<void>;
    };
    for (const ends of ['commit', 'rollback'] as const) {
      const loggerContext = { label: 'mine' };
      const ctx = await connection.begin({ loggerContext });
      const em: EntityManager = orm.em.fork({ disableContextResolution: true });
      em.setTransactionContext(ctx as never);
      await (em as ReturnType<typeof sql>).execute(`insert into host_orders values ('${ends}', 1)`);
      await connection[ends](ctx, undefined, loggerContext);
    }
    expect(await sql(orm).execute('select id from host_orders')).toEqual([{ id: 'commit' }]);
  });

  it('puts the statement with its values before the message of an error, as its platform formats it', async () => {
    const [text, params] = ['select ? from no_such_table', ['secret']] as const;
    const failure = await sql(orm)
      .execute(text, [...params])
      .catch((error: Error) => error);
    const { message } = failure as Error;
    if (message.includes('secret')) {
      expect(message.startsWith(orm.em.getPlatform().formatQuery(text, [...params]))).toBe(true);
    }
  });
});
