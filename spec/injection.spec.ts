import type { MikroORM } from '@mikro-orm/core';
import { durableEntities, MikroOrmStateStore, type RunQuery, type StepCheckpoint, type WorkflowRun } from '../lib';
import { CORPUS, intact, twins } from './hostile/corpus';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aFullCheckpoint, aFullRun, aRun, freshId } from './support/fixtures';

/** The corpus and everything that is taken for one of it: all of them are there at once, and each is itself alone. */
const WORDS = [...new Set(CORPUS.flatMap((word) => [word, ...twins(word)]))];

describe('names that become SQL', () => {
  it.each(CORPUS.filter((word) => !/^[\w$-]+$/.test(word)))('refuses the column name and the schema %j', (word) => {
    expect(() => durableEntities({ naming: () => word })).toThrow(TypeError);
    expect(() => durableEntities({ naming: (property) => `${property}${word}` })).toThrow(TypeError);
    expect(() => durableEntities({ schema: word })).toThrow(TypeError);
  });
});

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let store: MikroOrmStateStore;
  let orm: MikroORM;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady();
    store = new MikroOrmStateStore(orm);
    await sql(orm).execute("insert into host_orders (id, total) values ('theirs', 7)", [], 'run');
  });
  afterEach(async () => {
    await intact(sql(orm));
    await db.clear(orm);
  });
  afterAll(() => db.drop());

  it('finds a run by each of its texts, and by nothing that looks like it', async () => {
    const runs = new Map(WORDS.map((word) => [word, fullOf(word)]));
    await Promise.all([...runs.values()].map((run) => store.createRun(run)));
    await Promise.all(CORPUS.map((word) => store.updateRun(word, { output: word, error: { message: word } })));
    for (const word of CORPUS) {
      const found = await store.getRun(word);
      expect(found).toEqual({ ...runs.get(word), output: word, error: { message: word } });
      for (const rows of await Promise.all(queriesFor(word).map((query) => store.listRuns(query)))) {
        expect(rows).toEqual([found]);
      }
      expect(await store.runFacets({ tag: word })).toEqual([{ status: word, origin: expect.anything(), count: 1 }]);
    }
  });

  it('changes, leases and deletes the run of exactly this id, held by exactly this owner', async () => {
    await Promise.all(WORDS.map((id) => store.createRun(aRun({ id }))));
    for (const word of CORPUS) {
      expect(await store.tryLockRun(word, word, 9, 5)).toBe(true);
      for (const other of twins(word).slice(0, 3)) expect(await store.renewRunLock(word, other, 10)).toBe(false);
      expect(await store.renewRunLock(word, word, 10)).toBe(true);
    }
    const leased = (await store.listRuns({})).filter(({ lockedBy }) => lockedBy !== undefined);
    expect(leased.map(({ id }) => id).sort()).toEqual([...CORPUS].sort());
    await Promise.all(CORPUS.map((word) => store.deleteRun(word)));
    const left = WORDS.filter((word) => !CORPUS.includes(word as never));
    expect((await store.listRuns({})).map(({ id }) => id).sort()).toEqual(left.sort());
  });

  it('finds a checkpoint by its run, its name and the beginning of its name, and by nothing that looks like them', async () => {
    const named = new Map(WORDS.map((name, seq) => [name, aFullCheckpoint({ runId: 'r', seq, name, output: [name] })]));
    const own = new Map(WORDS.map((word) => [word, textsOf(word)]));
    await Promise.all([...named.values(), ...own.values()].map((checkpoint) => store.saveCheckpoint(checkpoint)));
    for (const word of CORPUS) {
      expect(await store.listCheckpoints(word)).toEqual([own.get(word)]);
      expect(await store.getLatestCheckpointByName('r', word)).toEqual(named.get(word));
      const beginning = [...named.values()].filter(({ name }) => name.startsWith(word));
      expect(await store.listCheckpointsByNamePrefix('r', [word])).toEqual(beginning);
    }
  });

  it('gives waiters, signals and events to their own token, name and id', async () => {
    const waiter = (token: string) => ({ token, runId: token, seq: 1, parallelGroup: token });
    await Promise.all(
      WORDS.flatMap((word) => [
        store.putSignalWaiter(waiter(word)),
        store.bufferSignal(word, { [word]: word }),
        store.bufferEvent({ id: word, name: word, payload: word, publishedAt: 5 }),
      ]),
    );
    for (const word of CORPUS) {
      const beginning = WORDS.filter((other) => other.startsWith(word));
      expect((await store.listSignalWaiters(word)).map(({ token }) => token).sort()).toEqual(beginning.sort());
      await store.removeSignalWaiter({ ...waiter(word), runId: `${word}x` });
      await store.removeSignalWaiter({ ...waiter(word), seq: 2 });
      expect(await store.listBufferedEvents(word, 9)).toEqual([{ id: word, payload: word, publishedAt: 5 }]);
    }
    for (const word of WORDS) {
      expect(await store.takeSignalWaiter(word)).toEqual(waiter(word));
      expect(await store.takeBufferedSignal(word)).toEqual({ payload: { [word]: word } });
      expect(await store.takeBufferedSignal(word)).toBeNull();
      expect(await store.removeBufferedEvent(word)).toBe(true);
    }
    expect(await store.listSignalWaiters('')).toEqual([]);
  });

  it('confines a store to exactly one namespace, for every method', async () => {
    for (const namespace of WORDS)
      await store.createRun(aRun({ id: `in ${namespace}`, namespace, status: 'suspended', wakeAt: 1 }));
    await Promise.all(WORDS.map((word) => store.saveCheckpoint(aCheckpoint({ runId: `in ${word}` }))));
    await Promise.all(WORDS.map((word) => store.putSignalWaiter({ token: word, runId: `in ${word}`, seq: 1 })));
    for (const word of CORPUS) {
      const confined = store.withScope({ namespace: word });
      const ids = (rows: { id?: string; runId?: string }[]) => rows.map(({ id, runId }) => id ?? runId);
      const lists = [confined.listRuns({}), confined.listDueTimers(9), confined.listSignalWaiters('')];
      for (const rows of await Promise.all(lists)) expect(ids(rows)).toEqual([`in ${word}`]);
      expect(await confined.runFacets()).toEqual([{ status: 'suspended', origin: null, count: 1 }]);
      const [other] = twins(word) as [string];
      const theirs = `in ${other}`;
      const before = await tracesOf(store, theirs);
      expect(await tracesOf(confined, theirs)).toEqual([null, [], []]);
      await expect(confined.updateRun(theirs, { namespace: word })).rejects.toThrow('not found');
      expect(await confined.takeSignalWaiter(other)).toBeNull();
      expect(await confined.tryLockRun(theirs, 'me', 9, 5)).toBe(false);
      await confined.putSignalWaiter({ token: other, runId: `in ${word}`, seq: 5 });
      await confined.saveCheckpoint(aCheckpoint({ runId: theirs, output: 'overwritten' }));
      await confined.transaction((tx) => tx.saveCheckpoint(aCheckpoint({ runId: theirs, output: 'overwritten' })));
      await confined.deleteRun(theirs);
      await confined.createRun(aRun({ id: theirs, namespace: word, status: 'dead' }));
      expect(await confined.pruneTerminalRuns({ statuses: ['dead'], maxCount: 0 }, 9, 9)).toBe(0);
      expect(await tracesOf(store, theirs)).toEqual(before);
    }
  });
});

/** A run all of whose texts are this one. */
function fullOf(word: string): WorkflowRun {
  const texts = { workflow: word, workflowVersion: word, origin: word, lockedBy: word, namespace: word };
  const attributes = { tags: [word], searchAttributes: { [word]: word, same: word } };
  return aFullRun({
    id: word,
    ...texts,
    ...attributes,
    status: word as never,
    awaitingDecisionTaskId: word,
    input: word,
  });
}

function textsOf(word: string): StepCheckpoint {
  const texts = { name: word, stepId: word, workerGroup: word, parallelGroup: word };
  return aFullCheckpoint({ runId: word, ...texts, input: { [word]: word } });
}

/** Every way to ask for the one run that is full of this text. */
function queriesFor(word: string): RunQuery[] {
  return [
    { workflow: word },
    { status: word as never },
    { statuses: [word as never] },
    { namespace: word },
    { origin: word },
    { origins: [word] },
    { tag: word },
    { tags: [word] },
    { attributes: [{ key: 'same', op: 'eq', value: word }] },
    { attributes: [{ key: 'same', op: 'in', value: [word, freshId()] }] },
    { attributes: [{ key: word, op: 'eq', value: word }] },
    { workflows: [word], namespaces: [word], attributes: [{ key: word, op: 'gte', value: '' }] },
  ];
}

async function tracesOf(store: MikroOrmStateStore, runId: string): Promise<unknown[]> {
  const waiters = (await store.listSignalWaiters('')).filter((waiter) => waiter.runId === runId);
  return [await store.getRun(runId), await store.listCheckpoints(runId), waiters];
}
