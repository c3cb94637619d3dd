import { inspect } from 'node:util';
import type { MikroORM } from '@mikro-orm/core';
import { DurableRowError, MikroOrmStateStore, type WorkflowRun } from '../lib';
import { Damage, NO_JSON, ODD_JSON, SECRET } from './support/damage';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aFullCheckpoint, aFullRun, aRun, freshId } from './support/fixtures';

const RUN_JSON = ['input', 'output', 'error', 'search_attributes'];
const RUN_TIMES = ['wake_at', 'locked_until', 'created_at', 'updated_at'];
const CHECKPOINT_JSON = ['input', 'output', 'error', 'events'];
const CHECKPOINT_TIMES = ['wake_at', 'enqueued_at', 'started_at', 'finished_at'];

const has = (id: string, status: WorkflowRun['status']) => ({
  id,
  status,
  createdAt: new Date(1000),
  updatedAt: new Date(1000),
});

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let orm: MikroORM;
  let store: MikroOrmStateStore;
  let damage: Damage;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady();
    store = new MikroOrmStateStore(orm);
    damage = await Damage.on(db);
  });
  beforeEach(() => db.clear(orm));
  afterAll(() => db.drop());

  /** A run that cannot be read. */
  async function damaged(run: WorkflowRun, column = 'input', value = NO_JSON[0] as string): Promise<string> {
    await store.createRun(run);
    await damage.put('workflow_runs', column, value, `id = '${run.id}'`);
    return run.id;
  }

  describe('a run that cannot be read', () => {
    const columns = [
      ...RUN_JSON.map((column) => [column, NO_JSON[0] as string] as const),
      ...RUN_TIMES.map((column) => [column, 'no time'] as const),
      ['tags', `{"${SECRET}":1}`] as const,
      ...(kind.family === 'sqlite' ? [['tags', SECRET] as const, ['recovery_attempts', SECRET] as const] : []),
    ];

    it.each(columns)(
      'because of %s (%s) fails its own readers, with an error that quotes nothing of it',
      async (column, value) => {
        const [bad, good] = [aFullRun({ status: 'pending' }), aFullRun({ status: 'pending' })];
        await damaged(bad, column, value === 'no time' ? damage.noTime : value);
        await store.createRun(good);
        const reads = await Promise.allSettled(
          [bad.id, good.id, 'none', bad.id, good.id].map((id) => store.getRun(id)),
        );
        const refused = { table: 'durable_workflow_runs', column, key: { id: bad.id }, code: 'DURABLE_UNREADABLE_ROW' };
        expect(reads).toMatchObject([
          { reason: refused },
          { value: good },
          { value: null },
          { reason: refused },
          { value: good },
        ]);
        const error = await failure(store.getRun(bad.id));
        expect(error).toBeInstanceOf(DurableRowError);
        expect(error.message).toContain(bad.id);
        expect(await store.listPendingRuns(10)).toEqual([good]);
        const [shown] = await store.listRuns({ namespace: bad.namespace });
        expect(shown).toMatchObject({
          id: bad.id,
          status: 'pending',
          error: { code: error.code, message: error.message },
        });
        expect(JSON.stringify(shown)).not.toContain(SECRET);
        expect(await store.listRuns({ namespace: good.namespace })).toEqual([good]);
        expect(await store.runFacets()).toEqual([{ status: 'pending', origin: 'billing', count: 2 }]);
      },
    );

    it('is in no list of runs to execute, and nothing else is missing there', async () => {
      const statuses = ['pending', 'running', 'cancelling', 'suspended'] as const;
      for (const status of statuses) {
        for (const id of [`${status}-1`, `${status}-2`, `${status}-3`]) {
          await store.createRun(aRun({ ...has(id, status), wakeAt: 5 }));
        }
        await damage.put('workflow_runs', 'output', NO_JSON[0] as string, `id = '${status}-2'`);
      }
      const ids = (runs: readonly WorkflowRun[]) => runs.map(({ id }) => id);
      expect(ids(await store.listPendingRuns(10))).toEqual(['pending-1', 'pending-3']);
      expect(ids(await store.listIncompleteRuns())).toEqual(['cancelling-1', 'cancelling-3', 'running-1', 'running-3']);
      expect(ids(await store.listDueTimers(9))).toEqual(['suspended-1', 'suspended-3']);
    });

    it('is among the listed runs, without the time that the engine would wake it at', async () => {
      await damaged(aRun({ ...has('blocked', 'blocked'), wakeAt: 5, output: 'kept' }));
      const [run] = await store.listRuns({ statuses: ['blocked'] });
      expect(run).not.toHaveProperty('wakeAt');
      expect(run).not.toHaveProperty('input');
      expect(run).toMatchObject({ output: 'kept', createdAt: new Date(1000) });
    });

    it('holds up none behind it, however small the limit', async () => {
      for (const id of ['a', 'b', 'c']) await damaged(aRun(has(id, 'pending')));
      for (const id of ['x', 'y', 'z']) await store.createRun(aRun(has(id, 'pending')));
      await damaged(aRun(has('xx', 'pending')));
      for (const [limit, expected] of [
        [1, 'x'],
        [2, 'xy'],
        [3, 'xyz'],
        [9, 'xyz'],
      ] as const) {
        expect((await store.listPendingRuns(limit)).map(({ id }) => id).join('')).toBe(expected);
      }
    });

    it('is mended, ended, leased and deleted without being read', async () => {
      const id = await damaged(aRun({ searchAttributes: { a: 1 } }));
      expect(await store.tryLockRun(id, 'me', 2000, 1000)).toBe(true);
      expect(await store.renewRunLock(id, 'me', 3000)).toBe(true);
      await store.releaseRunLock(id);
      await store.updateRun(id, { status: 'cancelled', searchAttributes: { a: 2 } });
      await store.updateRun(id, { input: { mended: true } });
      expect(await store.getRun(id)).toMatchObject({ status: 'cancelled', input: { mended: true } });
      await damage.put('workflow_runs', 'input', NO_JSON[0] as string, `id = '${id}'`);
      await store.deleteRun(id);
      expect(await store.getRun(id)).toBeNull();
    });

    it.each([{ maxAge: 1 }, { maxCount: 0 }])('is pruned by %j', async (policy) => {
      const id = await damaged(aRun(has('old', 'completed')));
      await store.saveCheckpoint(aCheckpoint({ runId: id }));
      await damage.put('step_checkpoints', 'output', NO_JSON[0] as string, `run_id = '${id}'`);
      expect(await store.pruneTerminalRuns({ statuses: ['completed'], ...policy }, 5000, 10)).toBe(1);
      expect(await store.listCheckpoints(id)).toEqual([]);
    });

    it('neither counts nor is pruned while nobody can say when it finished, and disturbs no other', async () => {
      for (const id of ['a', 'b', 'c'])
        await store.createRun(aRun({ ...has(id, 'completed'), updatedAt: new Date(id.charCodeAt(0)) }));
      const ids = ['odd-1', 'odd-2', 'odd-3'];
      for (const id of ids) await damaged(aRun(has(id, 'completed')), 'updated_at', damage.noTime);
      const prune = (policy: object) => store.pruneTerminalRuns({ statuses: ['completed'], ...policy }, 5000, 10);
      expect(await prune({ maxCount: 2 })).toBe(1);
      expect(await prune({ maxAge: 1 })).toBe(2);
      expect(await prune({ maxCount: 0 })).toBe(0);
      expect((await store.listRuns({})).map(({ id }) => id).sort()).toEqual(ids);
      for (const id of ids) await store.deleteRun(id);
    });

    it('is found by no other tag, and keeps no other from being found', async () => {
      await store.createRun(aRun({ id: 'good', tags: ['vip'] }));
      await damaged(aRun({ id: 'bad', tags: ['vip'] }), 'tags', kind.family === 'sqlite' ? '["vip"' : '{"vip":1}');
      expect((await store.listRuns({ tag: 'vip' })).map(({ id }) => id)).toEqual(['good']);
      expect((await store.listRuns({ tags: ['vip', 'other'] })).map(({ id }) => id)).toEqual(['good']);
    });
  });

  describe('a checkpoint that cannot be read', () => {
    const columns = [
      ...CHECKPOINT_JSON.map((column) => [column, NO_JSON[0] as string] as const),
      ...CHECKPOINT_TIMES.map((column) => [column, 'no time'] as const),
      ...(kind.family === 'sqlite' ? [['attempts', SECRET] as const] : []),
    ];

    it.each(columns)('because of %s (%s) fails its own readers', async (column, value) => {
      const [bad, good] = [aFullCheckpoint({ seq: 0 }), aFullCheckpoint({ seq: 1 })];
      good.runId = bad.runId;
      for (const checkpoint of [bad, good]) await store.saveCheckpoint(checkpoint);
      await damage.put('step_checkpoints', column, value === 'no time' ? damage.noTime : value, 'seq = 0');
      const refused = {
        code: 'DURABLE_UNREADABLE_ROW',
        table: 'durable_step_checkpoints',
        column,
        key: { runId: bad.runId, seq: 0 },
      };
      const reads = [0, 1, 2, 0].map((seq) => store.getCheckpoint(bad.runId, seq));
      expect(await Promise.allSettled(reads)).toMatchObject([
        { reason: refused },
        { value: good },
        { value: null },
        { reason: refused },
      ]);
      await failure(store.getCheckpoint(bad.runId, 0));
      await damage.put('step_checkpoints', 'name', 'bad', 'seq = 0');
      expect(await failure(store.getLatestCheckpointByName(bad.runId, 'bad') as Promise<unknown>)).toMatchObject(
        refused,
      );
      for (const list of [store.listCheckpoints(bad.runId), store.listCheckpointsByNamePrefix(bad.runId, [''])]) {
        const [first, second] = await list;
        expect(second).toEqual(good);
        expect([first?.runId, first?.seq, first?.status]).toEqual([bad.runId, 0, bad.status]);
        // Neither looked at nor copied, for the copy would be saved in its place.
        expect(() => JSON.stringify(first)).toThrow(expect.objectContaining(refused));
        expect(() => ({ ...first })).toThrow(expect.objectContaining(refused));
      }
    });
  });

  describe('a buffered signal that cannot be read', () => {
    it.each(NO_JSON)('is left where it is: %j', async (text) => {
      const token = freshId('token');
      for (const payload of ['bad', 'behind']) await store.bufferSignal(token, payload);
      await damage.put('buffered_signals', 'payload', text, `token = '${token}' and payload = '"bad"'`);
      const [row] = await rows(token);
      for (let n = 0; n < 2; n += 1) {
        const error = await failure(store.takeBufferedSignal(token));
        expect(error).toMatchObject({
          table: 'durable_buffered_signals',
          column: 'payload',
          key: { id: Number(row?.id), token },
        });
      }
      expect(await rows(token)).toHaveLength(2);
      await damage.put('buffered_signals', 'payload', '"mended"', `id = ${row?.id}`);
      expect(await store.takeBufferedSignal(token)).toEqual({ payload: 'mended' });
      expect(await store.takeBufferedSignal(token)).toEqual({ payload: 'behind' });
      expect(await store.takeBufferedSignal(token)).toBeNull();
    });

    it('fails its own taker among many at once', async () => {
      const tokens = ['a', 'bad', 'c', 'd'].map((name) => freshId(name));
      for (const token of tokens) await store.bufferSignal(token, token);
      await damage.put('buffered_signals', 'payload', NO_JSON[0] as string, `token = '${tokens[1]}'`);
      const taken = await Promise.allSettled([...tokens, 'none'].map((token) => store.takeBufferedSignal(token)));
      expect(taken.map((each) => (each.status === 'fulfilled' ? each.value?.payload : each.reason.code))).toEqual([
        tokens[0],
        'DURABLE_UNREADABLE_ROW',
        tokens[2],
        tokens[3],
        undefined,
      ]);
      expect(await rows(tokens[1] as string)).toHaveLength(1);
    });

    it('is one that its codec cannot decode, too', async () => {
      const decode = (stored: unknown) => {
        if (stored === 'bad') throw new Error(SECRET);
        return stored;
      };
      const coded = new MikroOrmStateStore(orm, { codec: { encode: (value) => value, decode } });
      for (const token of ['bad', 'good']) await coded.bufferSignal(token, token);
      expect(await failure(coded.takeBufferedSignal('bad'))).toMatchObject({
        column: 'payload',
        key: { token: 'bad' },
      });
      const taken = await Promise.allSettled(['bad', 'good', 'none'].map((token) => coded.takeBufferedSignal(token)));
      expect(taken).toMatchObject([{ reason: { column: 'payload' } }, { value: { payload: 'good' } }, { value: null }]);
      expect(await rows('bad')).toHaveLength(1);
    });

    it('is none of what JSON can say, deep or odd', async () => {
      let deep: unknown = 'bottom';
      for (let n = 0; n < 3000; n += 1) deep = [deep];
      for (const payload of [...ODD_JSON, deep]) {
        await store.bufferSignal('odd', payload);
        expect(JSON.stringify(await store.takeBufferedSignal('odd'))).toBe(JSON.stringify({ payload }));
      }
      await Promise.all(ODD_JSON.map((payload, n) => store.bufferSignal(`odd-${n}`, payload)));
      const taken = await Promise.all(ODD_JSON.map((_, n) => store.takeBufferedSignal(`odd-${n}`)));
      expect(taken).toEqual(ODD_JSON.map((payload) => ({ payload })));
    });
  });

  it('a buffered event that cannot be read is left out, and holds up none behind it', async () => {
    for (const n of [1, 2, 3, 4]) await store.bufferEvent({ id: `e${n}`, name: 'paid', payload: n, publishedAt: n });
    for (const n of [1, 3]) await damage.put('buffered_signals', 'payload', NO_JSON[0] as string, `event_id = 'e${n}'`);
    const listed = async (limit: number) =>
      (await store.listBufferedEvents('paid', limit)).map(({ payload }) => payload);
    expect([await listed(1), await listed(2), await listed(9)]).toEqual([[2], [2, 4], [2, 4]]);
    expect(await store.removeBufferedEvent('e1')).toBe(true);
  });

  if (kind.family === 'sqlite') {
    it('a waiter that cannot be read is left out of lists, and left where it is by takers', async () => {
      const tokens = ['a', 'bad', 'c', 'd'];
      for (const token of tokens) await store.putSignalWaiter({ token, runId: token, seq: 1 });
      await damage.put('signal_waiters', 'seq', SECRET, "token = 'bad'");
      expect((await store.listSignalWaiters('')).map(({ token }) => token)).toEqual(['a', 'c', 'd']);
      const refused = {
        code: 'DURABLE_UNREADABLE_ROW',
        table: 'durable_signal_waiters',
        column: 'seq',
        key: { token: 'bad' },
      };
      expect(await failure(store.takeSignalWaiter('bad'))).toMatchObject(refused);
      const taken = await Promise.allSettled(tokens.map((token) => store.takeSignalWaiter(token)));
      expect(taken).toMatchObject([
        { value: { token: 'a' } },
        { reason: refused },
        { value: { token: 'c' } },
        { value: { token: 'd' } },
      ]);
      await store.putSignalWaiter({ token: 'bad', runId: 'bad', seq: 2 });
      expect(await store.takeSignalWaiter('bad')).toEqual({ token: 'bad', runId: 'bad', seq: 2 });
    });

    it('an attribute that cannot be read is replaced like any other', async () => {
      const run = aRun({ searchAttributes: { a: 1, b: 2, c: 3 } });
      await store.createRun(run);
      for (const key of ['a', 'b']) await damage.put('run_attributes', 'num_value', SECRET, `key = '${key}'`);
      await store.updateRun(run.id, { searchAttributes: { a: 1, c: 3 } });
      const left = await sql(orm).execute('select key, num_value from durable_run_attributes order by key');
      expect(left).toEqual([
        { key: 'a', num_value: 1 },
        { key: 'c', num_value: 3 },
      ]);
    });
  }

  function rows(token: string): Promise<{ id: number }[]> {
    return sql(orm).execute('select id from durable_buffered_signals where token = ? order by id', [token]);
  }
});

/** The error of a call, which shows nothing of what could not be read however it is looked at. */
async function failure(call: Promise<unknown>): Promise<DurableRowError> {
  const error = await call.then(
    () => expect(call).rejects.toThrow(),
    (thrown) => thrown,
  );
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(SECRET);
  expect(error).toMatchObject({ name: 'DurableRowError', code: 'DURABLE_UNREADABLE_ROW' });
  return error as DurableRowError;
}
