import { randomBytes } from 'node:crypto';
import { CodecStateStore, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import { ENTITIES, MikroOrmStateStore, type PayloadCodec, type StateStore } from '../lib';
import { encrypting, sealing } from './support/codecs';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aFullCheckpoint, aFullRun, aRun, freshId } from './support/fixtures';
import { QueryLog } from './support/query-log';

/** A word that every payload of these tests holds, and no row may. */
const WORD = 'hush';

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let orm: MikroORM;
  let codec: PayloadCodec;
  let store: MikroOrmStateStore;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady();
    codec = encrypting(randomBytes(32));
    store = new MikroOrmStateStore(orm, { codec });
  });
  afterAll(() => db.drop());
  beforeEach(() => db.clear(orm));

  const payload = (n: unknown = 1) => ({ [WORD]: [n, null, { deep: '😀' }] });

  /** What the five tables hold, as one text. */
  async function atRest(): Promise<string> {
    const rows = await Promise.all(ENTITIES.map(({ meta }) => sql(orm).execute(`select * from ${meta.tableName}`)));
    return JSON.stringify(rows);
  }

  it('stores no payload in the clear, whichever way it comes, and gives each back', async () => {
    const runs = Array.from({ length: 12 }, (_, n) => aRun({ input: payload(n) }));
    const confined = store.withScope({ namespace: 'default' });
    await Promise.all(runs.map((run) => store.createRun(run)));
    const tagged = aRun({ input: payload('tagged'), searchAttributes: { city: 'Lisboa' }, tags: ['t'] });
    await confined.createRun(tagged);
    await Promise.all(runs.map((run, n) => store.updateRun(run.id, { status: 'running', output: payload(n) })));
    const [run] = runs as [typeof tagged];
    const checkpoints = [0, 1, 2, 3].map((seq) =>
      aCheckpoint({ runId: run.id, seq, input: payload(seq), output: payload(seq) }),
    );
    const [shared, own, ofScope, ofHost] = checkpoints as [(typeof checkpoints)[0], ...typeof checkpoints];
    await store.saveCheckpoint(shared as never);
    await store.transaction((tx) => tx.saveCheckpoint(own as never));
    await confined.saveCheckpoint(ofScope as never);
    await orm.em.fork().transactional((em) => store.withTransaction(em).saveCheckpoint(ofHost as never));
    await Promise.all([1, 2, 3].map((n) => store.bufferSignal('token', payload(n))));
    await store.bufferEvent({ id: 'event', name: 'published', payload: payload('event'), publishedAt: 5 });

    const stored = await atRest();
    expect(stored).toContain('Lisboa');
    expect(stored).not.toMatch(/hush|deep/);
    expect(await store.listRuns({ tag: 't', attributes: [{ key: 'city', op: 'eq', value: 'Lisboa' }] })).toEqual([
      { ...tagged, namespace: 'default' },
    ]);
    const found = await Promise.all(runs.map(({ id }) => store.getRun(id)));
    expect(found.map((each) => [each?.input, each?.output])).toEqual(runs.map((_, n) => [payload(n), payload(n)]));
    expect((await store.listIncompleteRuns()).map(({ input }) => input)).toHaveLength(12);
    expect(await store.listCheckpoints(run.id)).toEqual(checkpoints);
    expect(await confined.getCheckpoint(run.id, 3)).toEqual(ofHost);
    expect(await store.getLatestCheckpointByName(run.id, 'charge')).toEqual(ofHost);
    expect(await store.listCheckpointsByNamePrefix(run.id, ['ch'])).toEqual(checkpoints);
    const signals = await Promise.all(
      ['token', 'token', 'token', 'token'].map((token) => store.takeBufferedSignal(token)),
    );
    const sent = [1, 2, 3].map((n) => ({ payload: payload(n) }));
    expect(signals).toHaveLength(4);
    expect(signals).toEqual(expect.arrayContaining([null, ...sent]));
    expect(await store.listBufferedEvents('published', 9)).toEqual([
      { id: 'event', payload: payload('event'), publishedAt: 5 },
    ]);
  });

  it('prunes, and counts what is under way, as any store does', async () => {
    const [old, young] = [aRun({ status: 'completed', output: payload() }), aRun({ status: 'completed' })];
    await store.createRun({ ...old, updatedAt: new Date(1) });
    await store.createRun(young);
    expect(await store.pruneTerminalRuns({ statuses: ['completed'], maxCount: 1 }, Date.now(), 9)).toBe(1);
    expect([await store.getRun(old.id), (await store.getRun(young.id))?.id]).toEqual([null, young.id]);
    await store.settled();
  });

  it('encodes null, and nothing else that is absent', async () => {
    const [absent, none] = [aRun({ input: undefined, output: undefined }), aRun({ input: null, output: null })];
    await store.createRun(absent);
    await store.createRun(none);
    const columns = await sql(orm).execute('select id, input, output from durable_workflow_runs where input is null');
    expect(columns).toEqual([{ id: absent.id, input: null, output: null }]);
    expect(await store.getRun(absent.id)).toEqual({ ...absent, namespace: 'default' });
    expect(await store.getRun(none.id)).toEqual({ ...none, namespace: 'default' });
    await store.updateRun(none.id, { input: undefined, output: payload() });
    expect(await store.getRun(none.id)).toMatchObject({ output: payload() });
    expect((await store.getRun(none.id))?.input).toBeUndefined();
    await store.bufferSignal('token', undefined);
    await store.bufferSignal('token', null);
    expect(await store.takeBufferedSignal('token')).toEqual({ payload: undefined });
    expect(await store.takeBufferedSignal('token')).toEqual({ payload: null });
  });

  it.each(['wrapper writes, option reads', 'option writes, wrapper reads'])(
    'shares its rows with the wrapper of the engine: %s',
    async (which) => {
      const stores: StateStore[] = [new CodecStateStore(new MikroOrmStateStore(orm), codec), store];
      if (which.startsWith('option')) stores.reverse();
      const [writer, reader] = stores as [StateStore, StateStore];
      const run = aFullRun({ input: payload(), output: null });
      const checkpoint = aFullCheckpoint({ runId: run.id, input: payload(), output: payload(0) });
      await writer.createRun(run);
      await writer.saveCheckpoint(checkpoint);
      const own = aCheckpoint({ runId: run.id, seq: 1, output: payload('tx') });
      await writer.transaction?.((tx) => tx.saveCheckpoint(own));
      await writer.bufferSignal('token', payload('signal'));
      await writer.bufferEvent({ id: 'event', name: 'published', payload: payload('event'), publishedAt: 5 });
      expect(await reader.getRun(run.id)).toEqual(run);
      expect(await reader.listCheckpoints(run.id)).toEqual([checkpoint, own]);
      expect(await reader.takeBufferedSignal('token')).toEqual({ payload: payload('signal') });
      expect(await reader.listBufferedEvents('published', 1)).toMatchObject([{ payload: payload('event') }]);
      await writer.updateRun(run.id, { output: payload('updated'), error: undefined });
      expect(await reader.getRun(run.id)).toMatchObject({ output: payload('updated') });
    },
  );

  const pay = (on: StateStore, runId: string, who: string) =>
    on.transaction?.(async (tx) => {
      const output = { paymentId: who };
      await tx.saveCheckpoint(aCheckpoint({ runId, name: 'pay', output }));
      return output;
    });

  it('gives a superseded step what the first execution returned, decoded', async () => {
    const runId = freshId();
    const peer = new MikroOrmStateStore(await db.open(), { codec });
    expect(await pay(peer, runId, 'first')).toEqual({ paymentId: 'first' });
    expect(await pay(store, runId, 'second')).toEqual({ paymentId: 'first' });
    expect((await store.getCheckpoint(runId, 0))?.output).toEqual({ paymentId: 'first' });
  });

  it('lets no superseded step go on with what was rolled back, under a wrapper', async () => {
    const runId = freshId();
    const wrapped = new CodecStateStore(new MikroOrmStateStore(orm), codec);
    expect(await pay(wrapped, runId, 'first')).toEqual({ paymentId: 'first' });
    const second = pay(wrapped, runId, 'second');
    await expect(second).rejects.toMatchObject({ name: 'DurableTransactionError', code: 'DURABLE_STEP_SUPERSEDED' });
    await expect(second).rejects.toThrow(/use the option codec of MikroOrmStateStore/);
    expect((await wrapped.getCheckpoint(runId, 0))?.output).toEqual({ paymentId: 'first' });
    const alike = new CodecStateStore(new MikroOrmStateStore(orm), sealing);
    const other = freshId();
    expect([await pay(alike, other, 'x'), await pay(alike, other, 'x')]).toEqual([
      { paymentId: 'x' },
      { paymentId: 'x' },
    ]);
  });

  it('carries whole workflows', async () => {
    const engine = new WorkflowEngine({ store });
    engine.register('child', '1', async (_ctx, input) => ({ [WORD]: input }));
    engine.register('order', '1', async (ctx, input) => {
      const receipt = await ctx.transaction('pay', async () => ({ [WORD]: input }));
      const answer = await ctx.waitForSignal('answer');
      return { receipt, answer, child: await ctx.child('child', payload('child')) };
    });
    const id = freshId();
    await engine.start('order', payload('in'), id);
    await engine.waitForRun(id);
    await engine.signal('answer', payload('signal'));
    const { status, output } = await engine.waitForRun(id, { until: 'terminal', timeoutMs: 20_000 });
    expect({ status, output }).toEqual({
      status: 'completed',
      output: {
        receipt: { [WORD]: payload('in') },
        answer: payload('signal'),
        child: { [WORD]: payload('child') },
      },
    });
    await engine.drain();
    await store.settled();
    expect(await atRest()).not.toMatch(/hush|deep/);
  });

  const throwing = () => {
    throw new RangeError(WORD);
  };

  it.each<[string, () => unknown, RegExp]>([
    ['throws', throwing, /run\.input cannot be encoded: the codec threw RangeError/],
    ['gives a promise', () => Promise.reject(new Error(WORD)), /run\.input .*promise, but has to be synchronous/],
    ['gives nothing', () => undefined, /run\.input .*nothing that JSON can express/],
    ['gives what is no JSON', () => 5n, /run\.input cannot be written as JSON: it holds a BigInt/],
  ])('refuses a payload whose codec %s, and quotes nothing', async (_what, encode, message) => {
    const broken = new MikroOrmStateStore(orm, { codec: { ...codec, encode } });
    const run = aRun({ input: payload() });
    const call = broken.createRun(run);
    await expect(call).rejects.toThrow(message);
    await expect(call).rejects.toMatchObject({ code: 'DURABLE_INVALID_PAYLOAD', field: 'run.input' });
    await expect(broken.bufferSignal('token', payload())).rejects.toMatchObject({ field: 'signal.payload' });
    const error = (await call.catch((thrown) => thrown)) as Error;
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain(WORD);
    expect(await store.getRun(run.id)).toBeNull();
  });

  it('sends nothing of a payload that is refused', async () => {
    const log = new QueryLog();
    const logged = await db.open(log.options);
    const broken = new MikroOrmStateStore(logged, { codec: { ...codec, encode: throwing } });
    await broken.getRun('warm');
    const statements = await log.of(async () => {
      const calls = [
        broken.createRun(aRun()),
        broken.createRun(aRun({ searchAttributes: { a: 1 } })),
        broken.updateRun('r', { output: 1, searchAttributes: { a: 1 } }),
        broken.saveCheckpoint(aCheckpoint({ output: 1 })),
        broken.bufferSignal('token', 1),
        broken.bufferEvent({ id: 'e', name: 'n', payload: 1, publishedAt: 1 }),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'DURABLE_INVALID_PAYLOAD' });
    });
    expect(statements).toEqual([]);
  });

  it.each<[string, PayloadCodec['decode']]>([
    ['throws', throwing],
    ['has another key', (stored) => encrypting(randomBytes(32)).decode(stored)],
    ['gives a promise', () => Promise.reject(new Error(WORD))],
  ])('names the row that a codec cannot decode because it %s, and quotes nothing', async (_what, decode) => {
    const run = aRun({ input: payload() });
    await store.createRun(run);
    const broken = new MikroOrmStateStore(orm, { codec: { ...codec, decode } });
    const error = (await broken.getRun(run.id).catch((thrown) => thrown)) as Error;
    expect(error).toMatchObject({
      name: 'DurableRowError',
      code: 'DURABLE_UNREADABLE_ROW',
      table: 'durable_workflow_runs',
      column: 'input',
      key: { id: run.id },
    });
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain(WORD);
    expect((await store.getRun(run.id))?.input).toEqual(payload());
  });
});
