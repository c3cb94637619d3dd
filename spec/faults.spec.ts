import { setImmediate } from 'node:timers/promises';
import type { MikroORM, Options } from '@mikro-orm/core';
import type { AbstractSqlConnection } from '@mikro-orm/knex';
import { MikroOrmStateStore } from '../lib';
import { failureOf, MARKER, markedCheckpoint, markedRun, noUnhandledRejections } from './hostile/marked';
import { eventually, OpenTransaction, SESSIONS, untilBlocked, watch } from './support/concurrency';
import { type DatabaseKind, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { freshId } from './support/fixtures';

noUnhandledRejections();

const SQLITE = KINDS.filter(({ family }) => family === 'sqlite');
const SERVERS = KINDS.filter(({ family }) => family !== 'sqlite');
const MEBIBYTE = 2 ** 20;

eachDatabase(SQLITE, (kind) => {
  const db = fresh(kind);

  it('reports a full disk, keeps nothing of the failed calls, and goes on when there is room again', async () => {
    const orm = await db().open();
    const store = new MikroOrmStateStore(orm);
    const em = sql(orm);
    const [[pages]] = [await em.execute<[{ page_count: number }]>('pragma page_count')];
    await em.execute(`pragma max_page_count = ${pages.page_count + 40}`);
    const big = MARKER.repeat(MEBIBYTE / MARKER.length);
    const [run, step, neighbour] = [markedRun({ input: big }), markedCheckpoint({ output: big }), markedCheckpoint()];
    const calls = [store.createRun(run), store.saveCheckpoint(step), store.bufferSignal(MARKER, big)].map(failureOf);
    const [, ...failures] = await Promise.all([store.saveCheckpoint(neighbour), ...calls]);
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'DURABLE_DATABASE_ERROR', outcomeUnknown: false, attempts: 1 });
      expect(failure.message).toContain('full');
    }
    expect(await store.listCheckpoints(neighbour.runId)).toEqual([neighbour]);
    expect([await store.getRun(run.id), await store.getCheckpoint(step.runId, step.seq)]).toEqual([null, null]);
    await em.execute('pragma max_page_count = 1000000');
    await store.createRun(run);
    expect(await store.getRun(run.id)).toEqual(run);
    expect(await store.listRuns({ attributes: [{ key: MARKER, op: 'eq', value: MARKER }] })).toHaveLength(1);
    expect(await store.takeBufferedSignal(MARKER)).toBeNull();
  });
});

eachDatabase(
  KINDS.filter(({ family }) => family === 'mysql'),
  (kind) => {
    const db = fresh(kind);

    it('reports a payload beyond max_allowed_packet, and its neighbours are kept', async () => {
      const orm = await db().open();
      const store = new MikroOrmStateStore(orm, { retry: { attempts: 2 } });
      const [{ size }] = await sql(orm).execute<[{ size: number }]>('select @@max_allowed_packet as size');
      const big = MARKER.repeat(Number(size) / MARKER.length + 1);
      const [step, neighbour] = [markedCheckpoint({ output: big }), markedCheckpoint()];
      const [, failure] = await Promise.all([store.saveCheckpoint(neighbour), failureOf(store.saveCheckpoint(step))]);
      expect(failure).toMatchObject({ code: 'DURABLE_DATABASE_ERROR', operation: 'saveCheckpoint' });
      expect(await store.getCheckpoint(step.runId, step.seq)).toBeNull();
      expect(await store.getCheckpoint(neighbour.runId, neighbour.seq)).toEqual(neighbour);
      await failureOf(store.bufferSignal(MARKER, big));
      expect(await store.takeBufferedSignal(MARKER)).toBeNull();
    });
  },
);

eachDatabase(SERVERS, (kind) => {
  const db = fresh(kind);

  it.each(timeouts(kind))('reports a %s, changes nothing, and goes on after it', async (_name, limit, facts) => {
    const plain = await db().open();
    const orm = await db().open({ pool: { min: 0, max: 1 } });
    const store = new MikroOrmStateStore(orm, { retry: { attempts: 2 } });
    const run = markedRun();
    await store.createRun(run);
    const blocker = await holding(plain, run.id);
    await sql(orm).execute(limit.set, [], 'run');
    const failure = await failureOf(store.updateRun(run.id, { output: MARKER, searchAttributes: { [MARKER]: 1 } }));
    expect(failure).toMatchObject({ code: 'DURABLE_DATABASE_ERROR', operation: 'updateRun', ...facts });
    // A busy machine may take longer than that for what nobody holds up.
    await sql(orm).execute(limit.lift, [], 'run');
    await blocker.rollback();
    expect(await store.getRun(run.id)).toEqual(run);
    await store.updateRun(run.id, { output: MARKER });
    expect((await store.getRun(run.id))?.output).toBe(MARKER);
  });

  it('reports that no connection became free in time, and goes on when one is', async () => {
    const pool = { min: 0, max: 1, acquireTimeoutMillis: 150 };
    const orm = await db().open({ pool });
    const store = new MikroOrmStateStore(orm, { retry: { attempts: 2 } });
    const holder = await connected(orm);
    const run = markedRun();
    const failures = await Promise.all([
      failureOf(store.createRun(run)),
      failureOf(store.saveCheckpoint(markedCheckpoint())),
      failureOf(store.takeSignalWaiter(MARKER)),
      failureOf(store.bufferSignal(MARKER, MARKER)),
      failureOf(store.transaction((tx) => tx.saveCheckpoint(markedCheckpoint()))),
    ]);
    for (const failure of failures) expect(failure).toMatchObject({ transient: true, outcomeUnknown: false });
    await holder.rollback();
    await store.createRun(run);
    expect(await store.getRun(run.id)).toEqual(run);
  });

  it('waits for a connection that becomes free in time', async () => {
    const orm = await db().open({ pool: { min: 0, max: 1, acquireTimeoutMillis: 150 } });
    const store = new MikroOrmStateStore(orm);
    const holder = await connected(orm);
    const inVain = acquireFailure(orm);
    const saved = store.saveCheckpoint(markedCheckpoint());
    await inVain;
    await holder.rollback();
    await saved;
  });

  it('notices no connection that was cut between two calls', async () => {
    const { store, cut } = await cuttable(kind, db());
    const [run, token] = [markedRun(), freshId(MARKER)];
    const waiter = { token, runId: run.id, seq: 1 };
    const calls: (() => Promise<unknown>)[] = [
      () => store.createRun(run),
      () => store.bufferSignal(token, MARKER),
      () => store.putSignalWaiter(waiter),
      () => store.updateRun(run.id, { searchAttributes: { [MARKER]: 2 } }),
    ];
    for (const call of calls) {
      await cut();
      await call();
    }
    await cut();
    expect(await store.takeBufferedSignal(token)).toEqual({ payload: MARKER });
    await cut();
    expect(await store.takeSignalWaiter(token)).toEqual(waiter);
    await cut();
    expect(await store.tryLockRun(run.id, MARKER, 9e12, 8e12)).toBe(true);
    await cut();
    await store.deleteRun(run.id);
    expect(await store.getRun(run.id)).toBeNull();
  });

  it('repeats what is safe to repeat when its connection is cut in the middle', async () => {
    const { store, plain, target } = await cuttable(kind, db());
    const run = markedRun();
    await store.createRun(run);
    const cut = await target();
    const blocker = await holding(plain, run.id);
    const update = store.updateRun(run.id, { output: MARKER, searchAttributes: { [MARKER]: 3 } });
    const state = watch(update);
    await untilBlocked(kind, plain);
    await cut();
    await untilBlocked(kind, plain);
    expect(state.settled).toBe(false);
    await blocker.commit();
    await update;
    expect(await store.getRun(run.id)).toMatchObject({ output: MARKER, searchAttributes: { [MARKER]: 3 } });
  });

  it('says that it does not know when a take is cut in the middle, and takes nothing then', async () => {
    const { store, plain, target } = await cuttable(kind, db());
    const token = freshId(MARKER);
    await store.putSignalWaiter({ token, runId: MARKER, seq: 1 });
    const cut = await target();
    const text = 'update durable_signal_waiters set seq = 1 where token = ?';
    const blocker = await OpenTransaction.holding(plain, text, [token]);
    const taken = failureOf(store.takeSignalWaiter(token));
    await untilBlocked(kind, plain);
    await cut();
    expect(await taken).toMatchObject({ operation: 'takeSignalWaiter', outcomeUnknown: true, transient: true });
    await blocker.rollback();
    // Of another ORM: this one's driver may not have heard yet that its connection is closed.
    expect(await new MikroOrmStateStore(plain).takeSignalWaiter(token)).toMatchObject({ token });
  });

  it('reports a refused connection, for every kind of call', async () => {
    const orm = await db().open({ port: 1, connect: false } as Options);
    const store = new MikroOrmStateStore(orm, { retry: { attempts: 2 } });
    const calls = [
      () => store.createRun(markedRun()),
      () => store.createRun(markedRun({ searchAttributes: undefined })),
      () => store.getRun(MARKER),
      () => store.saveCheckpoint(markedCheckpoint()),
      () => store.takeSignalWaiter(MARKER),
      () => store.bufferSignal(MARKER, MARKER),
      () => store.listRuns({ tag: MARKER }),
      () => store.releaseRunLock(MARKER),
      () => store.transaction((tx) => tx.saveCheckpoint(markedCheckpoint())),
    ];
    for (const failure of await Promise.all(calls.map((call) => failureOf(call())))) {
      expect(failure).toMatchObject({ code: 'DURABLE_DATABASE_ERROR', transient: true, outcomeUnknown: false });
    }
  });
});

/** A database for the tests of one suite, its tables ready. */
function fresh(kind: DatabaseKind): () => TestDatabase {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    await db.ensureSchema();
  });
  afterAll(() => db.drop());
  return () => db;
}

interface Limit {
  /** What sets it for the session, and what lifts it. */
  readonly set: string;
  readonly lift: string;
}

/** Time limits a host may have set, and what becomes of a call that meets one. */
function timeouts(kind: DatabaseKind): [name: string, limit: Limit, facts: object][] {
  const limit = (setting: string, to: number) => ({ set: `set ${setting} = ${to}`, lift: `set ${setting} = default` });
  if (kind.family === 'mysql') return [['lock timeout', limit('innodb_lock_wait_timeout', 1), { transient: true }]];
  return [
    ['statement timeout', limit('statement_timeout', 500), { transient: true, attempts: 2 }],
    ['lock timeout', limit('lock_timeout', 150), { transient: true, attempts: 2 }],
  ];
}

/** A transaction on the ORM's only connection, which may take longer to come about than the pool waits for it. */
function connected(orm: MikroORM): Promise<OpenTransaction> {
  return eventually('there is a connection', () => OpenTransaction.begin(orm).catch(() => undefined));
}

/** Settles when a call has waited for a connection in vain. */
function acquireFailure(orm: MikroORM): Promise<unknown> {
  const { pool } = (orm.em.getConnection() as AbstractSqlConnection).getKnex().client;
  return new Promise((resolve) => pool.on('acquireFail', resolve));
}

function holding(orm: MikroORM, runId: string): Promise<OpenTransaction> {
  return OpenTransaction.holding(orm, 'update durable_workflow_runs set priority = 3 where id = ?', [runId]);
}

/** A store with one connection, which `cut` ends from the server's side; `target` aims before the connection is busy. */
async function cuttable(kind: DatabaseKind, db: TestDatabase) {
  const plain = await db.open();
  const orm = await db.open({ pool: { min: 0, max: 1 } });
  const store = new MikroOrmStateStore(orm);
  const postgres = kind.family === 'postgresql';
  const own = `select ${postgres ? 'pg_backend_pid()' : 'connection_id()'} as id`;
  const sessions = SESSIONS[kind.system as keyof typeof SESSIONS];
  const target = async () => {
    const [{ id }] = await sql(orm).execute<[{ id: number }]>(own);
    return async () => {
      await sql(plain).execute(
        postgres ? `select pg_terminate_backend(${id})` : `kill ${id}`,
        [],
        postgres ? 'all' : 'run',
      );
      await eventually('the session is gone', async () => {
        const left = await sql(plain).execute(`select 1 from ${sessions.table} where ${sessions.id} = ?`, [id]);
        return left.length === 0;
      });
      // Its last word may have arrived together with that answer; whoever is called now has heard it.
      await setImmediate();
    };
  };
  const cut = async () => (await target())();
  return { store, plain, target, cut };
}
