import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DurableSchemaError,
  durableManagedTables,
  durableSchemaSql,
  ENTITIES,
  ensureMikroOrmDurableSchema,
  MikroOrmStateStore,
  planMikroOrmDurableSchema,
} from '../lib';
import { finished, startTs } from './support/child';
import { type DatabaseKind, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aRun } from './support/fixtures';
import { StatementLog } from './support/statements';

const EXPECTED: Record<DatabaseKind['driver'], string> = {
  'better-sqlite': 'sqlite',
  sqlite: 'sqlite',
  postgresql: 'postgresql',
  mysql: 'mysql',
  mariadb: 'mariadb',
};

it('manages exactly the five tables of its entities', () => {
  expect(durableManagedTables()).toEqual(ENTITIES.map(({ meta }) => meta.tableName));
  expect(durableManagedTables()).toHaveLength(5);
});

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeEach(async () => {
    db = await TestDatabase.create(kind);
  });
  afterEach(() => db.drop());

  it('gives its statements as text without touching the database', async () => {
    const log = new StatementLog();
    const orm = await db.open(log.options);
    log.reset();
    const text = `${(await durableSchemaSql(orm)).join(';\n')};\n`;
    expect(text).toBe(readFileSync(join(__dirname, 'ddl', `${EXPECTED[kind.driver]}.sql`), 'utf8'));
    expect(log.statements).toEqual([]);
  });

  it('creates everything, reports it, and finds nothing to do the second time', async () => {
    const orm = await db.open();
    const plan = await planMikroOrmDurableSchema(orm);
    const { executed } = await ensureMikroOrmDurableSchema(orm);
    expect(executed).toEqual(plan.statements);
    expect(executed.length).toBeGreaterThanOrEqual(5);
    expect(await ensureMikroOrmDurableSchema(orm)).toEqual({ executed: [], notes: [] });
  });

  // What it asks about constraints only a MariaDB knows.
  const unreadable = kind.system === 'mysql' && kind.driver === 'mariadb' ? 'skipped, @mikro-orm/mariadb cannot: ' : '';
  (unreadable ? it.skip : it)(`${unreadable}leaves nothing for MikroORM itself to change`, async () => {
    const orm = await db.openReady();
    const diff = await orm.schema.getUpdateSchemaSQL({ wrap: false });
    expect(diff.split('\n').filter((line) => line.includes('durable_'))).toEqual([]);
  });

  it('is one query on an up-to-date database, however many tables the host has', async () => {
    const log = new StatementLog();
    const orm = await db.openReady(log.options);
    await ensureMikroOrmDurableSchema(orm);
    log.reset();
    await ensureMikroOrmDurableSchema(orm);
    const alone = log.statements.length;
    for (let table = 0; table < 40; table += 1) await sql(orm).execute(`create table app_${table} (id integer)`);
    log.reset();
    await ensureMikroOrmDurableSchema(orm);
    expect(log.statements.length).toBe(alone);
    // A server is asked for its settings first.
    expect(alone).toBe(kind.family === 'sqlite' ? 1 : 2);
    expect(log.statements.filter((text) => /^(create|alter|drop)/i.test(text))).toEqual([]);
  });

  it('completes tables of an older shape in place and keeps their rows', async () => {
    const orm = await db.openReady();
    const store = new MikroOrmStateStore(orm);
    const run = aRun({ tags: ['a'], searchAttributes: { n: 1 } });
    await store.createRun(run);
    await store.bufferSignal('token', { kept: true });
    await dropIndex(kind, db, 'durable_buffered_signals', 'durable_buffered_signals_event_id_unique');
    await dropIndex(kind, db, 'durable_buffered_signals', 'durable_buffered_signals_token_idx');
    await dropIndex(kind, db, 'durable_signal_waiters', 'durable_signal_waiters_run_id_idx');
    for (const column of ['event_id', 'published_at']) {
      await sql(orm).execute(`alter table durable_buffered_signals drop column ${column}`);
    }
    await sql(orm).execute('alter table durable_workflow_runs drop column origin');
    await sql(orm).execute('drop table durable_run_attributes');

    const { executed } = await ensureMikroOrmDurableSchema(orm);

    expect(executed.filter((statement) => /\b(drop|rename|modify|update|delete)\b/i.test(statement))).toEqual([]);
    expect((await ensureMikroOrmDurableSchema(orm)).executed).toEqual([]);
    expect(await store.getRun(run.id)).toEqual({ ...run, namespace: 'default' });
    expect(await store.takeBufferedSignal('token')).toEqual({ payload: { kept: true } });
    await store.updateRun(run.id, { origin: 'app', searchAttributes: { n: 2 } } as never);
    expect(await store.listRuns({ origin: 'app', attributes: [{ key: 'n', op: 'eq', value: 2 }] })).toHaveLength(1);
  });

  it('touches no table, column or index of the host', async () => {
    const orm = await db.open();
    await sql(orm).execute('create table host_orders (id varchar(64) primary key, total integer not null)');
    await sql(orm).execute("insert into host_orders values ('o-1', 5)");
    await ensureMikroOrmDurableSchema(orm);
    await sql(orm).execute('alter table durable_workflow_runs add column host_note varchar(20)');
    await sql(orm).execute('create index host_idx on durable_workflow_runs (host_note)');
    await dropIndex(kind, db, 'durable_signal_waiters', 'durable_signal_waiters_run_id_idx');

    expect((await ensureMikroOrmDurableSchema(orm)).executed).toHaveLength(1);

    const store = new MikroOrmStateStore(orm);
    const run = aRun();
    await store.createRun(run);
    await sql(orm).execute("update durable_workflow_runs set host_note = 'theirs'");
    expect(await store.getRun(run.id)).toEqual({ ...run, namespace: 'default' });
    expect(await sql(orm).execute('select host_note from durable_workflow_runs')).toEqual([{ host_note: 'theirs' }]);
    await dropIndex(kind, db, 'durable_workflow_runs', 'host_idx');
    expect(await sql(orm).execute('select id, total from host_orders')).toEqual([{ id: 'o-1', total: 5 }]);
  });

  it('lets 8 processes boot at once on an empty database', async () => {
    const boots = Array.from({ length: 8 }, () => finished(startTs('spec/support/boot.ts', [kind.name, db.dbName])));
    const outcomes = await Promise.all(boots);
    expect(outcomes.filter(({ code }) => code !== 0)).toEqual([]);
    const counts = outcomes.map(({ output }) => Number(/executed (\d+)/.exec(output)?.[1]));
    expect(counts.filter((count) => count > 0).length).toBeGreaterThanOrEqual(1);
    expect((await ensureMikroOrmDurableSchema(await db.open())).executed).toEqual([]);
  });

  it('lets many stores of one process ensure the schema at once', async () => {
    const orms = await Promise.all(Array.from({ length: 6 }, () => db.open()));
    await Promise.all(orms.map((orm) => new MikroOrmStateStore(orm).ensureSchema()));
    expect((await ensureMikroOrmDurableSchema(orms[0]!)).executed).toEqual([]);
  });

  it('says what to run when the tables are missing', async () => {
    const store = new MikroOrmStateStore(await db.open());
    const failure = await store.getRun('r').catch((error) => error);
    expect(failure).toBeInstanceOf(DurableSchemaError);
    expect(failure).toMatchObject({ code: 'DURABLE_SCHEMA_MISSING', message: expect.stringContaining('ensureSchema') });
  });

  it('refuses tables it could not work on, names the columns, and changes nothing', async () => {
    const orm = await db.openReady();
    await sql(orm).execute('drop table durable_signal_waiters');
    await sql(orm).execute('drop table durable_run_attributes');
    await sql(orm).execute(
      kind.family === 'postgresql'
        ? 'create table durable_run_attributes (run_id text, "key" text, str_value text, num_value real)'
        : kind.family === 'mysql'
          ? 'create table durable_run_attributes (run_id varchar(255), `key` varchar(255), str_value text, num_value float) collate utf8mb4_general_ci'
          : 'create table durable_run_attributes (run_id integer, key text, str_value text, num_value real)',
    );
    const failure = await ensureMikroOrmDurableSchema(orm).catch((error) => error);
    expect(failure).toBeInstanceOf(DurableSchemaError);
    expect(failure.code).toBe('DURABLE_SCHEMA_INCOMPATIBLE');
    expect(failure.problems.join()).toContain(kind.family === 'sqlite' ? '.run_id' : '.num_value');
    expect((await planMikroOrmDurableSchema(orm)).statements).toEqual([]);
    const waiters = await sql(orm)
      .execute('select 1 from durable_signal_waiters')
      .catch(() => 'still missing');
    expect(waiters).toBe('still missing');
  });
});

async function dropIndex(kind: DatabaseKind, db: TestDatabase, table: string, name: string): Promise<void> {
  const orm = await db.open();
  if (kind.family === 'mysql') await sql(orm).execute(`drop index ${name} on ${table}`);
  else if (kind.family === 'postgresql' && name.endsWith('_unique')) {
    await sql(orm).execute(`alter table ${table} drop constraint ${name}`);
  } else await sql(orm).execute(`drop index ${name}`);
}
