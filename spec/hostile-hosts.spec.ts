import type { Options } from '@mikro-orm/core';
import { durableEntities, ENTITIES, ensureMikroOrmDurableSchema, MikroOrmStateStore } from '../lib';
import { battery } from './hostile/battery';
import { DEAD_REPLICA, defaultIsolation, HIDES_ALL, onConnect, Saboteur } from './hostile/hosts';
import { INSTANTS } from './hostile/zones';
import { finished, startTs } from './support/child';
import { type DatabaseKind, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';
import { HostOrderEntity } from './support/host';

const MYSQL = KINDS.filter(({ family }) => family === 'mysql');
const POSTGRES = KINDS.filter(({ family }) => family === 'postgresql');

const HOSTS: [name: string, options: (kind: DatabaseKind) => Options][] = [
  ['a dead read replica', () => DEAD_REPLICA],
  ['a filter that hides every row', () => HIDES_ALL],
  ['a global result cache', () => ({ resultCache: { global: 60_000, expiration: 60_000 } })],
  ['UTC enforced and another time zone set', () => ({ forceUtcTimezone: true, timezone: '-03:00' })],
  ['transactions disabled', () => ({ disableTransactions: true })],
  ['subscribers that throw', () => ({ subscribers: [new Saboteur()] })],
  ['implicit transactions off and undefined forced', () => ({ implicitTransactions: false, forceUndefined: true })],
  ['a pool of one', () => ({ pool: { min: 0, max: 1 } })],
  ['repeatable read by default', (kind) => defaultIsolation(kind, 'repeatable read')],
  ['serializable by default', (kind) => defaultIsolation(kind, 'serializable')],
  ['a schema given twice', (kind) => (kind.family === 'postgresql' ? { schema: 'public' } : {})],
];

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    await db.ensureSchema();
  });
  afterAll(() => db.drop());

  it.each(HOSTS)('works on a host with %s', async (_name, options) => {
    await battery(new MikroOrmStateStore(await db.open(options(kind))));
  });

  it('works past transaction hooks that throw, and undoes a step transaction that they fail', async () => {
    const store = new MikroOrmStateStore(await db.open({ subscribers: [new Saboteur({ transactions: true })] }));
    const run = aRun({ searchAttributes: { a: 1 } });
    await store.createRun(run);
    await store.updateRun(run.id, { searchAttributes: { a: 2 } });
    await expect(store.transaction((tx) => tx.saveCheckpoint(aCheckpoint({ runId: run.id })))).rejects.toThrow(
      'of the host',
    );
    expect(await store.listCheckpoints(run.id)).toEqual([]);
    await store.deleteRun(run.id);
    expect(await store.getRun(run.id)).toBeNull();
  });

  it('shares instants between processes of three time zones, across hours that exist twice', async () => {
    await db.clear(await db.open());
    const zones = ['America/New_York', 'Asia/Kolkata', 'UTC'];
    const child = (zone: string, verb: string) =>
      finished(startTs('spec/hostile/zones.ts', [kind.name, db.dbName, verb], { TZ: zone }));
    const written = await Promise.all(zones.map((zone) => child(zone, 'write')));
    expect(written).toEqual(zones.map(() => ({ code: 0, output: '' })));
    const read = await Promise.all(zones.map((zone) => child(zone, 'read')));
    const ends = (iso: string) => [iso, iso, Date.parse(iso), Date.parse(iso)].join(' ');
    const rows = zones.flatMap((zone) => INSTANTS.map((iso, n) => `${zone}-${n} ${ends(iso)}`)).sort();
    const due = INSTANTS.map((at) => 3 * INSTANTS.filter((iso) => iso <= at).length);
    expect(read.map(({ output }) => JSON.parse(output))).toEqual(zones.map(() => ({ rows, due })));
  });

  it('fails at once inside a transaction begun on the ORM’s own EntityManager, when that holds the only connection', async () => {
    const orm = await db.open({ pool: { min: 0, max: 1 }, allowGlobalContext: true });
    const store = new MikroOrmStateStore(orm);
    await orm.em.begin();
    const calls = [() => store.takeSignalWaiter('t'), () => store.listRuns({}), () => store.getRun('r')];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'DURABLE_WOULD_DEADLOCK' });
    await orm.em.rollback();
    expect(await store.getRun('r')).toBeNull();
  });
});

eachDatabase([...POSTGRES, ...MYSQL], (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    await db.ensureSchema();
  });
  afterAll(() => db.drop());

  it('stays out of a transaction begun on the ORM’s own EntityManager', async () => {
    const orm = await db.open({ pool: { min: 0, max: 2 }, allowGlobalContext: true });
    const store = new MikroOrmStateStore(orm);
    await orm.em.begin();
    const run = aRun({ searchAttributes: { a: 1 } });
    await store.createRun(run);
    await store.transaction((tx) => tx.saveCheckpoint(aCheckpoint({ runId: run.id })));
    await orm.em.rollback();
    expect(await store.getRun(run.id)).not.toBeNull();
    expect(await store.listCheckpoints(run.id)).toHaveLength(1);
  });
});

eachDatabase(POSTGRES, (kind) => {
  it.each([
    ['the entities', (schema: string): Options => ({ entities: [...durableEntities({ schema }), HostOrderEntity] })],
    ['the config', (schema: string): Options => ({ entities: [...ENTITIES, HostOrderEntity], schema })],
  ])('keeps to the schema that %s name', async (_name, options) => {
    const db = await TestDatabase.create(kind);
    await db.ensureSchema();
    const orm = await db.open(options('apart'));
    await ensureMikroOrmDurableSchema(orm);
    const store = new MikroOrmStateStore(orm);
    await battery(store);
    await store.createRun(aRun({ id: 'r' }));
    const count = 'select (select count(*) from public.durable_workflow_runs) as ours, count(*) as apart';
    const [row] = await sql(orm).execute(`${count} from apart.durable_workflow_runs`);
    expect(row).toEqual({ ours: '0', apart: '1' });
    await db.drop();
  });
});

eachDatabase(MYSQL, (kind) => {
  it.each([
    ['latin1', 'latin1_swedish_ci'],
    ['utf8mb4', 'utf8mb4_general_ci'],
  ])('tells keys apart in a database of %s and %s', async (charset, collation) => {
    const db = await TestDatabase.create(kind);
    const orm = await db.open();
    await sql(orm).execute(`alter database ${db.dbName} character set ${charset} collate ${collation}`, [], 'run');
    await ensureMikroOrmDurableSchema(orm);
    const store = new MikroOrmStateStore(orm);
    await battery(store);
    const ids = ['order', 'Order', 'order ', 'órder', 'o\u0301rder', '😀'];
    for (const id of ids) await store.createRun(aRun({ id, input: `${id}😀`, tags: [id], searchAttributes: { id } }));
    for (const id of ids) {
      expect(await store.getRun(id)).toMatchObject({ id, input: `${id}😀` });
      expect(await store.listRuns({ tag: id })).toMatchObject([{ id }]);
      expect(await store.listRuns({ attributes: [{ key: 'id', op: 'eq', value: id }] })).toMatchObject([{ id }]);
    }
    await db.drop();
  });

  it('keeps its limits where the server would cut a value silently', async () => {
    const db = await TestDatabase.create(kind);
    await db.ensureSchema();
    const orm = await db.open({ pool: { min: 0, max: 2, ...onConnect("set session sql_mode = ''") } as never });
    const store = new MikroOrmStateStore(orm);
    await battery(store);
    await expect(store.createRun(aRun({ id: 'x'.repeat(513) }))).rejects.toMatchObject({
      code: 'DURABLE_VALUE_TOO_LONG',
    });
    expect(await store.listRuns({})).toEqual([]);
    await db.drop();
  });

  it.each(['ANSI_QUOTES', 'ANSI', 'TRADITIONAL'])('serves a connection in the sql_mode %s', async (mode) => {
    const db = await TestDatabase.create(kind);
    await db.ensureSchema();
    const pool = { min: 0, max: 2, ...onConnect(`set session sql_mode = '${mode}'`) };
    const orm = await db.open({ pool } as never);
    const store = new MikroOrmStateStore(orm);
    await store.ensureSchema();
    await battery(store);
    const run = aRun({ id: '"\'`\\', input: '"\'`\\', tags: ['"'] });
    await store.createRun(run);
    expect(await store.getRun(run.id)).toMatchObject(run);
    expect(await store.listRuns({ tag: '"' })).toMatchObject([run]);
    await db.drop();
  });

  it('refuses a connection that takes backslashes literally, and says what to change', async () => {
    const db = await TestDatabase.create(kind);
    await db.ensureSchema();
    const mode = "set session sql_mode = 'NO_BACKSLASH_ESCAPES'";
    const store = new MikroOrmStateStore(await db.open({ pool: { min: 0, max: 2, ...onConnect(mode) } as never }));
    await expect(store.createRun(aRun())).rejects.toMatchObject({
      code: 'DURABLE_UNSUPPORTED_SQL_MODE',
      message: expect.stringContaining('remove it'),
    });
    await db.drop();
  });
});
