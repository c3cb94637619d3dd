import { MikroORM } from '@mikro-orm/better-sqlite';
import {
  durableEntities,
  durableSchemaSql,
  ENTITIES,
  ensureMikroOrmDurableSchema,
  MikroOrmStateStore,
  planMikroOrmDurableSchema,
  sqliteConfig,
} from '../lib';
import { elapsed, LONGEST_TIMER_MS } from '../lib/timer';
import { OpenTransaction, untilBlocked, watch } from './support/concurrency';
import { connect, eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';

const DURATION = 'takes milliseconds from 0 (Infinity: no bound)';
const COUNT = 'takes a whole number from 1';

/** Options as a JavaScript program may pass them, and what the error says. */
const REFUSED: [options: unknown, message: string][] = [
  [{ retry: { attempts: 0 } }, `option retry.attempts ${COUNT}, got 0`],
  [{ retry: { attempts: 1.5 } }, `option retry.attempts ${COUNT}, got 1.5`],
  [{ retry: { attempts: '3' } }, `option retry.attempts ${COUNT}, got "3"`],
  [{ retry: { attempts: 3n } }, `option retry.attempts ${COUNT}, got 3n`],
  [{ retry: { forMs: -1 } }, `option retry.forMs ${DURATION}, got -1`],
  [{ retry: { forMs: Number.NaN } }, `option retry.forMs ${DURATION}, got NaN`],
  [{ retry: { formMs: 1 } }, 'there is no option retry.formMs; the options are retry.attempts, retry.forMs'],
  [{ retry: false }, 'option retry takes an object of attempts and forMs, got false'],
  [{ retry: [3] }, 'option retry takes an object of attempts and forMs, got an array'],
  [{ releaseWaitMs: -5 }, `option releaseWaitMs ${DURATION}, got -5`],
  [{ releaseWaitMs: Number.NaN }, `option releaseWaitMs ${DURATION}, got NaN`],
  [{ releaseWaitMs: '5s' }, `option releaseWaitMs ${DURATION}, got "5s"`],
  [{ releaseWaitMs: null }, `option releaseWaitMs ${DURATION}, got null`],
  [{ pruneCompletions: 'no' }, 'option pruneCompletions takes true or false, got "no"'],
  [{ pruneCompletions: 0 }, 'option pruneCompletions takes true or false, got 0'],
  [{ groupCommit: true }, 'option groupCommit takes false, or an object of lanes, maxRows and maxCharacters, got true'],
  [{ groupCommit: { lanes: 0 } }, `option groupCommit.lanes ${COUNT}, got 0`],
  [{ groupCommit: { maxRows: Number.POSITIVE_INFINITY } }, `option groupCommit.maxRows ${COUNT}, got Infinity`],
  [{ groupCommit: { maxCharacters: () => 1 } }, `option groupCommit.maxCharacters ${COUNT}, got a function`],
  // A key is not to end up in a log.
  [{ codec: 'key' }, 'option codec takes an object with the functions encode and decode, got a string'],
  [{ codec: { encode: () => 1 } }, 'option codec takes an object with the functions encode and decode, got an object'],
  [{ codec: null }, 'option codec takes an object with the functions encode and decode, got null'],
  [{ groupComit: false }, 'there is no option groupComit; the options are retry, pruneCompletions, groupCommit,'],
  [{ attempts: undefined }, 'there is no option attempts; the options are '],
  [null, 'options are an object, got null'],
  [5000, 'options are an object, got 5000'],
  [[], 'options are an object, got an array'],
];

describe('options of a store', () => {
  let orm: MikroORM;

  beforeAll(async () => {
    orm = await MikroORM.init({ dbName: ':memory:', entities: [...ENTITIES] });
  });
  afterAll(() => orm.close());

  it.each(REFUSED.map(([options, message]) => [message, options]))('are refused with: %s', (message, options) => {
    const make = () => new MikroOrmStateStore(orm, options as never);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(`MikroOrmStateStore: ${message}`);
  });

  it.each([
    [undefined],
    [{}],
    [{ retry: undefined, pruneCompletions: undefined, groupCommit: undefined, releaseWaitMs: undefined }],
    [{ retry: {}, groupCommit: {} }],
    [{ retry: { attempts: 1, forMs: 0 }, releaseWaitMs: 0 }],
    [{ retry: { forMs: Number.POSITIVE_INFINITY }, releaseWaitMs: Number.POSITIVE_INFINITY }],
    [{ groupCommit: { lanes: undefined, maxRows: 1 } }],
  ])('%p are taken, by its views too', (options) => {
    const store = new MikroOrmStateStore(orm, options);
    expect(store.withScope({ namespace: 'a' })).toBeInstanceOf(MikroOrmStateStore);
  });

  it.each([-1, Number.NaN, '5s', null])('settled(%p) is refused', async (boundMs) => {
    const call = new MikroOrmStateStore(orm).settled(boundMs as never);
    await expect(call).rejects.toThrow(TypeError);
    await expect(call).rejects.toThrow(/settled: option boundMs takes milliseconds from 0/);
  });
});

describe('options of other functions', () => {
  it.each([
    [{ synchronous: 'off' }, `option synchronous takes 'full' or 'normal', got "off"`],
    [{ busyTimeoutMs: 0.5 }, 'option busyTimeoutMs takes a whole number of milliseconds from 0 to 2147483647, got 0.5'],
    // SQLite would take it for no time-out at all.
    [{ busyTimeoutMs: 2 ** 31 }, 'option busyTimeoutMs takes a whole number of milliseconds from 0 to 2147483647, got'],
    [{ busyTimeout: 5 }, 'there is no option busyTimeout; the options are synchronous, busyTimeoutMs'],
    [null, 'options are an object, got null'],
  ])('sqliteConfig(%p) is refused', (options, message) => {
    expect(() => sqliteConfig(options as never)).toThrow(TypeError);
    expect(() => sqliteConfig(options as never)).toThrow(`sqliteConfig: ${message}`);
  });

  it.each([
    [{ name: 'preserve' }, 'there is no option name; the options are naming, schema, collation'],
    [{ naming: 'kebab' }, `option naming takes 'snake_case', 'preserve' or a function, got "kebab"`],
    [{ schema: 5 }, `option schema takes the name of a schema, or '*', got 5`],
    [{ collation: 'utf8mb4_general_ci' }, 'option collation takes utf8mb4_0900_bin or utf8mb4_nopad_bin, got'],
  ])('durableEntities(%p) is refused', (options, message) => {
    expect(() => durableEntities(options as never)).toThrow(TypeError);
    expect(() => durableEntities(options as never)).toThrow(`durableEntities: ${message}`);
  });
});

describe('what is no MikroORM instance', () => {
  let orm: MikroORM;

  beforeAll(async () => {
    orm = (await connect('better-sqlite', { dbName: ':memory:', entities: [...ENTITIES] })) as MikroORM;
  });
  afterAll(() => orm.close());

  const MISTAKES: [string, () => unknown, string][] = [
    ['nothing', () => undefined, 'undefined: pass what `await MikroORM.init(…)` gives'],
    ['null', () => null, 'null: pass what'],
    ['a promise of one', () => Promise.resolve(orm), 'a promise: await it, and pass what'],
    ['the class', () => MikroORM, 'a class or function: pass what'],
    ['its config', () => ({ dbName: 'app.sqlite', entities: [] }), 'an object: pass what'],
    ['one without an EntityManager', () => ({ em: undefined }), 'an object: pass what'],
    ['a name', () => 'postgresql', 'a string: pass what'],
  ];

  it.each(MISTAKES)('is told from one: %s', async (_what, value, message) => {
    const make = () => new MikroOrmStateStore(value() as never);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(`new MikroOrmStateStore(orm) takes a MikroORM instance, got ${message}`);
    for (const ask of [ensureMikroOrmDurableSchema, planMikroOrmDurableSchema, durableSchemaSql]) {
      const call = ask(value() as never);
      await expect(call).rejects.toThrow(TypeError);
      await expect(call).rejects.toThrow(`take a MikroORM instance or an EntityManager, got ${message}`);
    }
  });

  it('is told from one: an EntityManager, which the schema functions take', async () => {
    const make = () => new MikroOrmStateStore(orm.em as never);
    expect(make).toThrow(TypeError);
    expect(make).toThrow('got an EntityManager: pass the MikroORM instance it comes from; store.withTransaction(em)');
    expect((await planMikroOrmDurableSchema(orm.em)).statements).not.toEqual([]);
    expect(await durableSchemaSql(orm.em.fork())).not.toEqual([]);
  });
});

describe('a time', () => {
  it('passes at once when it is none, and not at once when no timer is long enough for it', async () => {
    await elapsed(0, new AbortController().signal);
    for (const ms of [LONGEST_TIMER_MS + 1, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
      const abort = new AbortController();
      const call = elapsed(ms, abort.signal);
      const waiting = watch(call);
      await elapsed(20, new AbortController().signal);
      expect(waiting.settled).toBe(false);
      abort.abort();
      await expect(call).rejects.toThrow();
    }
  });
});

const LONG = [LONGEST_TIMER_MS, LONGEST_TIMER_MS + 1, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY];

eachDatabase(
  KINDS.filter(({ family }) => family !== 'sqlite'),
  (kind) => {
    let db: TestDatabase;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      await db.ensureSchema();
    });
    afterAll(() => db.drop());

    it.each(LONG)('waits for a call that hangs, told to wait for at most %p ms', async (ms) => {
      const orm = await db.open();
      const store = new MikroOrmStateStore(orm, { releaseWaitMs: ms });
      const run = aRun({ status: 'running' });
      await store.createRun(run);
      expect(await store.tryLockRun(run.id, 'me', 99, 1)).toBe(true);
      const blocker = await OpenTransaction.holding(
        await db.open(),
        "update durable_workflow_runs set origin = 'x' where id = ?",
        [run.id],
      );
      const update = store.updateRun(run.id, { status: 'completed' });
      await untilBlocked(kind, orm);
      const settled = store.settled(ms);
      const waiting = watch(settled);
      // Longer than the millisecond that a timer takes which overflows.
      await elapsed(20, new AbortController().signal);
      expect(waiting.settled).toBe(false);
      await blocker.rollback();
      await Promise.all([update, settled]);
    });

    it.each(LONG)('releases a lease after the writes before it, told to wait for at most %p ms', async (ms) => {
      const orm = await db.open();
      const store = new MikroOrmStateStore(orm, { releaseWaitMs: ms, groupCommit: false });
      const run = aRun({ status: 'running' });
      await store.createRun(run);
      expect(await store.tryLockRun(run.id, 'me', 99, 1)).toBe(true);
      const blocker = await OpenTransaction.holding(
        await db.open(),
        'insert into durable_step_checkpoints (run_id, seq, name, kind, step_id, status, attempts, started_at, finished_at) ' +
          "values (?, 0, 'a', 'local', 'a', 'running', 1, '2026-01-01', '2026-01-01')",
        [run.id],
      );
      // The write that is on its way waits for another row than the release's.
      const write = store.saveCheckpoint(aCheckpoint({ runId: run.id }));
      await untilBlocked(kind, orm);
      const release = store.releaseRunLock(run.id);
      const released = watch(release);
      await elapsed(20, new AbortController().signal);
      expect(released.settled).toBe(false);
      const peer = new MikroOrmStateStore(await db.open());
      expect((await peer.getRun(run.id))?.lockedBy).toBe('me');
      await blocker.rollback();
      await Promise.all([write, release]);
      expect((await peer.getRun(run.id))?.lockedBy).toBeUndefined();
    });
  },
);
