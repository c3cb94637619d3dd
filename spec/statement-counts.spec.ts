import { MikroOrmStateStore } from '../lib';
import { World } from './engine/world';
import { type DatabaseKind, eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aCheckpoint, aRun, freshId } from './support/fixtures';
import { QueryLog } from './support/query-log';
import { serverSaying } from './support/server-saying';

type Call = (store: MikroOrmStateStore) => Promise<unknown>;

const run = aRun({ searchAttributes: { tier: 'pro', amount: 1 }, lockedBy: 'me', lockedUntil: 2000 });
const [steady, doomed, free, released] = [{ ...run, id: freshId() }, { ...run, id: freshId() }, aRun(), aRun()];
const ended = aRun({ status: 'completed', updatedAt: new Date(1000) });
const surplus = aRun({ status: 'failed', updatedAt: new Date(1000) });
const checkpoint = aCheckpoint({ runId: run.id, seq: 0 });
const waiter = { token: 'taken', runId: run.id, seq: 1 };
const event = { name: 'paid', payload: 1, id: 'event', publishedAt: 1 };
const policy = { statuses: ['completed' as const], maxAge: 1 };

/** What the engine asks for at every turn. No call needs what another leaves. */
const SINGLE: readonly [name: keyof MikroOrmStateStore, what: string, call: Call][] = [
  ['createRun', 'without attributes', (store) => store.createRun(aRun())],
  ['createRun', 'of an id that is taken', (store) => store.createRun({ ...ended, input: 2 })],
  ['getRun', 'that exists', (store) => store.getRun(run.id)],
  ['getRun', 'that does not exist', (store) => store.getRun('none')],
  ['updateRun', 'that changes', (store) => store.updateRun(free.id, { status: 'running', wakeAt: 5 })],
  ['updateRun', 'that changes nothing', (store) => store.updateRun(run.id, { status: run.status })],
  ['tryLockRun', 'that wins', (store) => store.tryLockRun(free.id, 'me', 2000, 1000)],
  ['tryLockRun', 'that loses', (store) => store.tryLockRun(run.id, 'other', 2000, 1000)],
  ['renewRunLock', 'by the owner', (store) => store.renewRunLock(run.id, 'me', 3000)],
  ['releaseRunLock', '', (store) => store.releaseRunLock(released.id)],
  ['saveCheckpoint', 'that is new', (store) => store.saveCheckpoint(aCheckpoint())],
  ['saveCheckpoint', 'that exists', (store) => store.saveCheckpoint(checkpoint)],
  ['getCheckpoint', '', (store) => store.getCheckpoint(run.id, 0)],
  ['listCheckpoints', '', (store) => store.listCheckpoints(run.id)],
  ['getLatestCheckpointByName', '', (store) => store.getLatestCheckpointByName(run.id, 'charge')],
  ['listCheckpointsByNamePrefix', '', (store) => store.listCheckpointsByNamePrefix(run.id, ['a', 'b'])],
  ['putSignalWaiter', 'that is new', (store) => store.putSignalWaiter({ ...waiter, token: 'new' })],
  ['putSignalWaiter', 'that exists', (store) => store.putSignalWaiter(waiter)],
  ['listSignalWaiters', '', (store) => store.listSignalWaiters('')],
  ['removeSignalWaiter', '', (store) => store.removeSignalWaiter({ ...waiter, token: 'removed' })],
  ['takeSignalWaiter', 'that misses', (store) => store.takeSignalWaiter('none')],
  ['takeBufferedSignal', 'that misses', (store) => store.takeBufferedSignal('none')],
  ['bufferSignal', '', (store) => store.bufferSignal('taken', { paid: true })],
  ['bufferEvent', '', (store) => store.bufferEvent({ ...event, id: 'another' })],
  ['listBufferedEvents', '', (store) => store.listBufferedEvents('paid', 50)],
  ['removeBufferedEvent', 'that hits', (store) => store.removeBufferedEvent('event')],
  ['removeBufferedEvent', 'that misses', (store) => store.removeBufferedEvent('none')],
  ['listIncompleteRuns', '', (store) => store.listIncompleteRuns()],
  ['listPendingRuns', '', (store) => store.listPendingRuns(100)],
  ['listDueTimers', '', (store) => store.listDueTimers(1000)],
  ['listRuns', '', (store) => store.listRuns({ tag: 'x', attributes: [{ key: 'tier', op: 'eq', value: 'pro' }] })],
  ['runFacets', '', (store) => store.runFacets()],
];

/** The statements between begin and commit of the calls that take a transaction. */
const SEVERAL: readonly [name: keyof MikroOrmStateStore, what: string, call: Call, verbs: string[]][] = [
  ['createRun', 'with attributes', (store) => store.createRun({ ...run, id: 'another' }), ['insert', 'insert']],
  ['createRun', 'with attributes, of an id that is taken', (store) => store.createRun(run), ['insert']],
  [
    'updateRun',
    'with attributes that change',
    (store) => store.updateRun(run.id, { searchAttributes: { tier: 'free' } }),
    ['update', 'select', 'delete', 'insert'],
  ],
  [
    'updateRun',
    'with attributes that stay',
    (store) => store.updateRun(steady.id, { searchAttributes: steady.searchAttributes }),
    ['update', 'select'],
  ],
  ['deleteRun', '', (store) => store.deleteRun(doomed.id), ['delete', 'delete', 'delete', 'delete']],
  [
    'pruneTerminalRuns',
    'that finds runs',
    (store) => store.pruneTerminalRuns(policy, 2000, 10),
    ['lock', 'select', 'select', 'select', 'delete', 'delete', 'delete', 'delete', 'delete'],
  ],
  [
    'pruneTerminalRuns',
    'that finds none',
    (store) => store.pruneTerminalRuns(policy, 1000, 10),
    ['lock', 'select', 'select'],
  ],
  [
    'pruneTerminalRuns',
    'of a number that is passed',
    (store) => store.pruneTerminalRuns({ statuses: ['failed'], maxCount: 0 }, 1000, 10),
    ['lock', 'select', 'select', 'select', 'select', 'select', 'delete', 'delete', 'delete', 'delete', 'delete'],
  ],
  [
    'pruneTerminalRuns',
    'of a number that is not reached',
    (store) => store.pruneTerminalRuns({ statuses: ['completed'], maxCount: 1000 }, 1000, 10),
    ['lock', 'select'],
  ],
  [
    'transaction',
    'with one checkpoint',
    (store) => store.transaction((tx) => tx.saveCheckpoint(aCheckpoint())),
    ['lock', 'insert'],
  ],
];

/** How a transaction of our own isolation level begins; one of the host's level is a `begin` everywhere. */
const BEGIN: Record<DatabaseKind['family'], string[]> = {
  sqlite: ['begin'],
  postgresql: ['start'],
  mysql: ['set', 'begin'],
};

eachDatabase(KINDS, (kind) => {
  const log = new QueryLog();
  let world: World;
  beforeAll(async () => {
    world = await World.open(kind, log.options);
  });
  beforeAll(async () => {
    const { store } = world;
    await Promise.all([run, steady, doomed, free, released, ended, surplus].map((each) => store.createRun(each)));
    await Promise.all([store.saveCheckpoint(checkpoint), store.bufferSignal('taken', 1), store.bufferEvent(event)]);
    await Promise.all(['taken', 'removed'].map((token) => store.putSignalWaiter({ ...waiter, token })));
  });
  afterAll(() => world.close());

  async function statements(call: Call) {
    const made = await log.of(() => call(world.store));
    const verbs = made.map(({ sql }) => {
      if (/where 1 = 0$/.test(sql)) return 'lock';
      return /^(?:\/\*.*\*\/ )?(\w+)/.exec(sql)?.[1];
    });
    return { verbs, labels: new Set(made.map(({ label }) => label?.split('.')[0])) };
  }

  it.each(SINGLE)('%s %s is one statement', async (name, _what, call) => {
    const { verbs, labels } = await statements(call);
    expect(verbs).toHaveLength(1);
    expect([...labels]).toEqual([name]);
  });

  it.each(SEVERAL)('%s %s is a transaction of a known number of statements', async (name, _what, call, inside) => {
    const { verbs, labels } = await statements(call);
    // Only SQLite takes its write lock with a statement.
    const expected = inside.filter((verb) => verb !== 'lock' || kind.family === 'sqlite');
    const begin = name === 'transaction' ? ['begin'] : BEGIN[kind.family];
    expect(verbs).toEqual([...begin, ...expected, 'commit']);
    expect([...labels]).toEqual([name]);
  });

  it.each([
    ['takeSignalWaiter', (store) => store.takeSignalWaiter('taken')],
    ['takeBufferedSignal', (store) => store.takeBufferedSignal('taken')],
  ] as [name: string, take: Call][])('%s that hits is one statement, or two without returning', async (name, take) => {
    const { verbs, labels } = await statements(take);
    expect(verbs).toEqual(kind.system === 'mysql' ? ['select', 'delete'] : [expect.stringMatching(/delete|with/)]);
    expect([...labels]).toEqual([name]);
  });

  it('calls of one tick share statements', async () => {
    const tokens = Array.from({ length: 20 }, () => freshId('t'));
    const runIds = tokens.map(() => freshId());
    const { store } = world;
    const sent = async (calls: readonly Promise<unknown>[]) => (await statements(() => Promise.all(calls))).verbs;
    expect(await sent(runIds.map((id) => store.createRun(aRun({ id }))))).toEqual(['insert']);
    expect(await sent(tokens.map((token) => store.bufferSignal(token, 1)))).toEqual(['insert']);
    expect(await sent(runIds.map((runId) => store.saveCheckpoint(aCheckpoint({ runId }))))).toEqual(['insert']);
    expect(await sent(runIds.map((id) => store.listCheckpoints(id)))).toEqual(['select']);
    expect(await sent(tokens.map((token) => store.takeBufferedSignal(`none-${token}`)))).toHaveLength(1);
    const taken = await sent(tokens.map((token) => store.takeBufferedSignal(token)));
    expect(taken).toHaveLength(kind.system === 'mysql' ? 1 + ['set', 'begin', 'select', 'delete', 'commit'].length : 2);
    const inTurn = ['begin', ...runIds.map(() => 'update'), 'commit'];
    const unlocked = [...BEGIN[kind.family], 'select', 'update', 'commit'];
    const shared = { sqlite: inTurn, postgresql: ['update'], mysql: unlocked }[kind.family];
    expect(await sent(runIds.map((id) => store.updateRun(id, { output: 1 })))).toEqual(shared);
    expect(await sent(runIds.map((id) => store.tryLockRun(id, 'me', 2000, 1000)))).toEqual(shared);
    expect(await sent(runIds.map((id) => store.renewRunLock(id, 'me', 3000)))).toEqual(shared);
    // Each hears by a statement of its own that it lost.
    const lost = await sent(runIds.map((id) => store.tryLockRun(id, 'other', 2000, 1000)));
    const found = { sqlite: 2, postgresql: 1, mysql: unlocked.length - 1 }[kind.family];
    expect(lost).toHaveLength(found + runIds.length);
    expect(await sent(runIds.slice(0, 3).map((id) => store.renewRunLock(id, 'me', 4000)))).toHaveLength(
      kind.family === 'sqlite' ? 5 : 3,
    );
  });

  it('equal questions that are asked while one is under way share the next answer', async () => {
    const { store } = world;
    const { verbs } = await statements(async () => {
      const first = [store.listDueTimers(10), store.listDueTimers(10), store.listDueTimers(11)];
      // Until their statements are on the way; an embedded database answers within the statement.
      await Promise.resolve().then(() => new Promise(setImmediate));
      await Promise.all([...first, ...[1, 2, 3].map(() => store.listDueTimers(10))]);
    });
    expect(verbs).toEqual(['select', 'select', 'select']);
  });

  it('renewRunLock looks again before it gives a lease up where rows may count as changed only', async () => {
    const { verbs } = await statements((store) => store.renewRunLock(run.id, 'other', 3000));
    expect(verbs).toEqual(kind.family === 'mysql' ? ['update', 'select'] : ['update']);
  });

  it.each([0, 1, 10])('a run of %d local steps is 11 + 3 per step', async (steps) => {
    const engine = world.engine();
    engine.register('steps', '1', async (ctx) => {
      for (let n = 0; n < steps; n += 1) await ctx.localStep(`step-${n}`, async () => n);
    });
    const id = freshId();
    const made = await log.of(async () => {
      await engine.start('steps', {}, id);
      await world.quiet();
    });
    expect((await engine.getRun(id))?.status).toBe('completed');
    expect(made).toHaveLength(11 + 3 * steps);
  });

  it('prunes many runs, or runs of many steps, in several transactions, the longest finished first', async () => {
    const store = world.store;
    const counted = async (work: () => Promise<unknown>) =>
      (await log.of(work)).filter(({ sql }) => /^begin\b|^start transaction\b/i.test(sql)).length;
    const prune = (limit: number) =>
      counted(() => store.pruneTerminalRuns({ statuses: ['dead'], maxAge: 1 }, 9000, limit));
    const finish = async (count: number, lastSeq?: number) => {
      const runs = Array.from({ length: count }, () => aRun({ status: 'dead', updatedAt: new Date(1000) }));
      await Promise.all(runs.map((each) => store.createRun(each)));
      if (lastSeq === undefined) return;
      await Promise.all(runs.map(({ id }) => store.saveCheckpoint(aCheckpoint({ runId: id, seq: lastSeq }))));
    };
    const left = async () => (await store.listRuns({ status: 'dead' })).length;
    await finish(3, 4000);
    expect([await prune(9), await left()]).toEqual([2, 0]);
    await finish(3, 20_000);
    expect([await prune(2), await left()]).toEqual([2, 1]);
    expect([await prune(2), await left()]).toEqual([1, 0]);
    await finish(1001);
    expect([await prune(5000), await left()]).toEqual([2, 0]);
  });

  it('asks the server what it is once, and only where that matters', async () => {
    const fresh = new MikroOrmStateStore(world.orm);
    const made = await log.of(async () => {
      await fresh.getRun('none');
      await fresh.getRun('none');
    });
    expect(made.map(({ label }) => label)).toEqual([
      ...(kind.family === 'sqlite' ? [] : ['probe']),
      'getRun',
      'getRun',
    ]);
  });
});

eachDatabase(
  KINDS.filter(({ system, driver }) => system === 'mariadb' && driver === 'mariadb'),
  (kind) => {
    const log = new QueryLog();
    /** A store on a server that says of itself what it does not really do. */
    const saying = (settings: Record<string, string>) => db.store({ ...log.options, ...serverSaying(settings) });
    let db: TestDatabase;
    beforeAll(async () => {
      db = await TestDatabase.create(kind);
    });
    afterAll(() => db.drop());

    it('on a node of a Galera cluster, which may undo what it has already returned, signals and waiters are read first', async () => {
      const store = await saying({ wsrep_on: 'ON' });
      await store.putSignalWaiter({ token: 'awaited', runId: 'run', seq: 1 });
      for (const payload of [1, 2, 3]) await store.bufferSignal('buffered', payload);
      const made = await log.of(async () => {
        expect(await store.takeSignalWaiter('awaited')).toEqual({ token: 'awaited', runId: 'run', seq: 1 });
        expect(await store.takeBufferedSignal('buffered')).toEqual({ payload: 1 });
        const together = [store.takeBufferedSignal('buffered'), store.takeBufferedSignal('buffered')];
        expect(await Promise.all(together)).toEqual([{ payload: 2 }, { payload: 3 }]);
        expect(await store.takeBufferedSignal('buffered')).toBeNull();
      });
      expect(made.filter(({ sql }) => /returning/.test(sql))).toEqual([]);
    });

    it('before version 10.6, which cannot leave locked runs out, leases and patches go alone', async () => {
      const store = await saying({ version: '10.5.27-MariaDB' });
      const ids = Array.from({ length: 6 }, () => freshId());
      await Promise.all(ids.map((id) => store.createRun(aRun({ id }))));
      const sent = async (call: (id: string) => Promise<unknown>) =>
        (await log.of(() => Promise.all(ids.map(call)))).map(({ sql }) => sql.split(' ')[0]);
      const alone = ids.map(() => 'update');
      expect(await sent((id) => store.tryLockRun(id, 'me', 2000, 1000))).toEqual(alone);
      expect(await sent((id) => store.renewRunLock(id, 'me', 3000))).toEqual(alone);
      expect(await sent((id) => store.updateRun(id, { output: 1 }))).toEqual(alone);
    });
  },
);
