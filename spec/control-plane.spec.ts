import { type ControlMessage, type EngineEvent, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM, Options } from '@mikro-orm/core';
import { MikroOrmControlPlane, type MikroOrmControlPlaneOptions, MikroOrmStateStore, sqliteConfig } from '../lib';
import { failureOf, noUnhandledRejections } from './hostile/marked';
import { eventually } from './support/concurrency';
import { eachDatabase, OWN_DRIVERS, portOf, sql, TestDatabase } from './support/databases';
import { aRun, freshId } from './support/fixtures';
import { TcpProxy } from './torture/proxy';

noUnhandledRejections();

/** A process of an application: it polls for nothing, so that what happens in it the control plane has brought about. */
interface Peer {
  readonly orm: MikroORM;
  readonly store: MikroOrmStateStore;
  readonly plane: MikroOrmControlPlane;
  readonly engine: WorkflowEngine;
  /** What the control plane was in trouble with. */
  readonly troubles: Error[];
}

/** An engine that starts runs and executes none. */
const STARTS_ONLY = { runDispatcher: { dispatch: () => undefined } };

eachDatabase(OWN_DRIVERS, (kind) => {
  let db: TestDatabase;
  let peers: Peer[] = [];
  const proxies: TcpProxy[] = [];
  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    await db.ensureSchema();
  });
  afterEach(async () => {
    await Promise.all(
      peers.map(async ({ engine, store, plane, orm }) => {
        await engine.drain();
        await plane.close();
        await store.settled();
        await orm.close(true);
      }),
    );
    peers = [];
    for (const proxy of proxies.splice(0)) {
      proxy.refuse();
      proxy.cut();
    }
    const orm = await db.open();
    await db.clear(orm);
    await orm.close(true);
  });
  afterAll(() => db.drop());

  async function open(
    settings: { engine?: object; plane?: MikroOrmControlPlaneOptions; orm?: Options } = {},
  ): Promise<Peer> {
    // Ten connections of one process that wait inside SQLite would leave no thread to the one they wait for.
    const file = sqliteConfig({ busyTimeoutMs: 0 });
    const orm = await db.open(kind.family === 'sqlite' ? file : settings.orm);
    const troubles: Error[] = [];
    const plane = new MikroOrmControlPlane(orm, { onError: (error) => troubles.push(error), ...settings.plane });
    const store = new MikroOrmStateStore(orm);
    const engine = new WorkflowEngine({ store, controlPlane: plane, ...settings.engine });
    const peer = { orm, store, plane, engine, troubles };
    peers.push(peer);
    return peer;
  }

  /** A process that executes what it hears of, and what it has executed. */
  async function openWorker(
    executed: string[],
    settings: { engine?: object; plane?: MikroOrmControlPlaneOptions; orm?: Options } = {},
  ): Promise<Peer> {
    const peer = await open(settings);
    peer.engine.onEnqueued((runId) => void peer.engine.runOne(runId).catch((error) => peer.troubles.push(error)));
    register(peer.engine, executed);
    return peer;
  }

  function register(engine: WorkflowEngine, executed: string[]): void {
    engine.register('order', '1', async (ctx, input) => {
      await ctx.localStep('charge', async () => void executed.push(ctx.runId));
      const { sleep } = (input ?? {}) as { sleep?: string };
      if (sleep) await ctx.sleep(sleep);
      return 'done';
    });
    engine.register('long', '1', async (ctx) => {
      await ctx.waitForSignal(`never:${ctx.runId}`);
    });
  }

  async function completed(peer: Peer, runId: string): Promise<void> {
    await eventually(`${runId} is completed`, async () => (await peer.store.getRun(runId))?.status === 'completed');
  }

  it('a run that one process starts is executed by another, which polls for nothing', async () => {
    const executed: string[] = [];
    const starter = await open({ engine: STARTS_ONLY });
    register(starter.engine, []);
    await openWorker(executed);
    const ids = Array.from({ length: 5 }, () => freshId());
    for (const id of ids) {
      await starter.engine.start('order', {}, id);
      await completed(starter, id);
    }
    expect(executed).toEqual(ids);
  });

  it('what was started before a process comes up is executed when it does', async () => {
    const executed: string[] = [];
    const starter = await open({ engine: STARTS_ONLY });
    register(starter.engine, []);
    const id = freshId();
    await starter.engine.start('order', {}, id);
    await openWorker(executed);
    await completed(starter, id);
    expect(executed).toEqual([id]);
  });

  it('timers fire, of this process and of one that is gone', async () => {
    const executed: string[] = [];
    const gone = await openWorker([]);
    const orphan = freshId();
    await gone.engine.start('order', { sleep: '1s' }, orphan);
    await eventually('the run sleeps', async () => (await gone.store.getRun(orphan))?.status === 'suspended');
    await gone.plane.close();
    const worker = await openWorker(executed);
    const own = freshId();
    await worker.engine.start('order', { sleep: '500ms' }, own);
    await completed(worker, own);
    await completed(worker, orphan);
    expect(executed).toEqual([own]);
  });

  it('a cancel reaches the process that executes the run', async () => {
    const cancelled: string[] = [];
    const dashboard = await open();
    const worker = await openWorker([]);
    worker.engine.onCancel((runId) => cancelled.push(runId));
    const id = freshId();
    await worker.engine.start('long', {}, id);
    await eventually('the run waits', async () => (await worker.store.getRun(id))?.status === 'suspended');
    await dashboard.engine.cancel(id);
    await eventually('the cancel has arrived', async () => cancelled.includes(id));
  });

  it('ten processes execute each run once', async () => {
    const executed: string[] = [];
    const workers: Peer[] = [];
    for (let n = 0; n < 10; n += 1) workers.push(await openWorker(executed, { orm: { pool: { min: 0, max: 3 } } }));
    const ids = Array.from({ length: 60 }, () => freshId());
    await Promise.all(ids.map((id, n) => (workers[n % 10] as Peer).engine.start('order', {}, id)));
    // One of them polls too: a start that finds the file busy for too long is left to that, with a control plane or without.
    const [poller] = workers as [Peer];
    await eventually('all have ended', async () => {
      await poller.engine.runPending();
      return (await poller.store.listRuns({ status: 'completed' })).length === ids.length;
    });
    expect(executed.toSorted()).toEqual(ids.toSorted());
  });

  it('runs of another namespace are not announced', async () => {
    const starter = await open({ engine: STARTS_ONLY, plane: { namespace: 'eu' } });
    register(starter.engine, []);
    const heard: string[] = [];
    const american = await open({ plane: { namespace: 'us' } });
    american.engine.onEnqueued((runId) => heard.push(runId));
    const european = await open({ plane: { namespace: 'eu' } });
    european.engine.onEnqueued((runId) => heard.push(`eu ${runId}`));
    const [eu, us] = [freshId(), freshId()];
    await starter.engine.start('order', {}, eu, { namespace: 'eu' });
    await starter.store.createRun(aRun({ id: us, namespace: 'us', createdAt: new Date(), updatedAt: new Date() }));
    await starter.plane.publishControl({ kind: 'enqueued', runId: us });
    await american.plane.publishControl({ kind: 'enqueued', runId: us });
    await eventually('both have heard', async () => heard.includes(us) && heard.includes(`eu ${eu}`));
    expect(heard).not.toContain(eu);
    expect(heard).not.toContain(`eu ${us}`);
  });

  it('a run is announced once, and not while its lease is held', async () => {
    const heard: string[] = [];
    const at = { createdAt: new Date(), updatedAt: new Date() };
    const [held, free, next] = [freshId(), freshId(), freshId()];
    const other = await open();
    await other.store.createRun(aRun({ id: held, lockedBy: 'them', lockedUntil: Date.now() + 600_000, ...at }));
    await other.store.createRun(aRun({ id: free, ...at }));
    const listener = await open();
    listener.engine.onEnqueued((runId) => heard.push(runId));
    await other.plane.publishControl({ kind: 'enqueued', runId: free });
    await eventually('it is heard', async () => heard.includes(free));
    await other.store.createRun(aRun({ id: next, ...at }));
    await other.plane.publishControl({ kind: 'enqueued', runId: next });
    await eventually('the next is heard', async () => heard.includes(next));
    expect(heard).toEqual([free, next]);
  });

  it.each([
    ['pending', {}],
    ['suspended', { wakeAt: Date.now() - 1000 }],
  ] as const)(
    'a run that has come to rest since it was announced as %s is not executed again',
    async (status, fields) => {
      const executed: string[] = [];
      const worker = await open();
      register(worker.engine, executed);
      const outcomes: unknown[] = [];
      worker.engine.onEnqueued(async (runId) => {
        // Meanwhile another process has executed it, and its last step has failed.
        await worker.store.updateRun(runId, {
          status: 'failed',
          error: { message: 'declined' },
          updatedAt: new Date(),
        });
        outcomes.push(await worker.engine.runOne(runId));
        await worker.store.updateRun(runId, { status: 'pending', error: undefined, updatedAt: new Date() });
        outcomes.push((await worker.engine.runOne(runId))?.status);
      });
      const id = freshId();
      await worker.store.createRun(aRun({ id, status, ...fields }));
      await worker.plane.publishControl({
        kind: 'event',
        event: { type: 'run.suspended', runId: id, at: new Date() },
      });
      await eventually('it was tried twice', async () => outcomes.length === 2);
      expect([outcomes, executed]).toEqual([[null, 'completed'], [id]]);
    },
  );

  it('engines that share a control plane hear each other, in no transaction of whoever speaks', async () => {
    const executed: string[] = [];
    const starter = await open({ engine: STARTS_ONLY });
    register(starter.engine, []);
    const neighbour = new WorkflowEngine({ store: starter.store, controlPlane: starter.plane });
    register(neighbour, executed);
    neighbour.onEnqueued((runId) => void neighbour.runOne(runId).catch((error) => starter.troubles.push(error)));
    const id = freshId();
    await starter.engine.start('order', {}, id);
    await completed(starter, id);
    await starter.orm.em.transactional(async () => {
      await starter.plane.publishControl({ kind: 'enqueued', runId: id }).catch(() => undefined);
    });
    await neighbour.drain();
    expect(executed).toEqual([id]);
    expect(starter.troubles).not.toContainEqual(expect.objectContaining({ code: 'DURABLE_WOULD_DEADLOCK' }));
  });

  it('is silent once it is closed, and when the ORM is', async () => {
    const heard: ControlMessage[] = [];
    const [closed, orphaned, starter] = [await open(), await open(), await open({ engine: STARTS_ONLY })];
    register(starter.engine, []);
    closed.plane.onControl((message) => heard.push(message));
    orphaned.plane.onControl((message) => heard.push(message));
    await closed.plane.close();
    await closed.plane.close();
    await orphaned.orm.close(true);
    const id = freshId();
    await starter.engine.start('order', {}, id);
    const witness = await openWorker([]);
    await completed(witness, id);
    await closed.plane.publishControl({ kind: 'enqueued', runId: id });
    await orphaned.plane.publishControl({ kind: 'enqueued', runId: id }).catch(() => undefined);
    expect(heard.filter(({ from }) => from !== undefined)).toEqual([]);
  });

  it('starts only when an engine listens: an ORM that never connects is left alone', async () => {
    const orm = await db.open({ connect: false });
    const plane = new MikroOrmControlPlane(orm);
    await plane.close();
    expect(() => new MikroOrmControlPlane(orm, { idleMs: 0 })).toThrow(
      'MikroOrmControlPlane: option idleMs takes milliseconds from 1, got 0',
    );
  });

  if (kind.family === 'postgresql') {
    it('lifecycle events reach every process, with the time of day as a date', async () => {
      const events: EngineEvent[] = [];
      const dashboard = await open();
      dashboard.engine.subscribe((event) => events.push(event));
      const worker = await openWorker([]);
      await listening(worker, 2);
      const id = freshId();
      await worker.engine.start('order', {}, id);
      await eventually('the end is heard', async () => events.some(({ type }) => type === 'run.completed'));
      expect(events.filter(({ runId }) => runId === id).map(({ type }) => type)).toEqual([
        'run.started',
        'step.started',
        'step.completed',
        'run.completed',
      ]);
      expect(events.every(({ at }) => at instanceof Date)).toBe(true);
    });

    it('what is started while the channel is cut is executed', async () => {
      const executed: string[] = [];
      const starter = await open({ engine: STARTS_ONLY });
      register(starter.engine, []);
      const worker = await openWorker(executed);
      await listening(starter, 2);
      const ids = Array.from({ length: 10 }, () => freshId());
      for (const id of ids) {
        await sql(starter.orm).execute(`select pg_terminate_backend(pid) from pg_stat_activity where ${LISTENS}`);
        await starter.engine.start('order', {}, id);
      }
      for (const id of ids) await completed(starter, id);
      expect(executed.toSorted()).toEqual(ids.toSorted());
      expect(worker.troubles.length).toBeGreaterThan(0);
    });

    it('a server that is away for a while is listened to again', async () => {
      const proxy = new TcpProxy(() => portOf(db));
      const port = await proxy.open();
      const executed: string[] = [];
      const worker = await openWorker(executed, { orm: { host: '127.0.0.1', port } });
      const starter = await open({ engine: STARTS_ONLY });
      register(starter.engine, []);
      await listening(starter, 2);
      proxy.refuse();
      proxy.cut();
      const missed = freshId();
      await starter.engine.start('order', {}, missed);
      await eventually('the cut is noticed', async () => worker.troubles.length > 0);
      await proxy.open();
      await completed(starter, missed);
      await listening(starter, 2);
      expect(executed).toEqual([missed]);
      proxies.push(proxy);
    });

    it('where notifications do not arrive it says so, and looks', async () => {
      await sql(peers[0]?.orm ?? (await open()).orm).execute(
        'create schema if not exists deaf; create or replace function deaf.pg_notify(text, text) returns void ' +
          "language sql as 'select null::void'; create or replace function deaf.md5(text) returns text " +
          "language sql as 'select pg_catalog.md5($1)'",
      );
      const executed: string[] = [];
      const orm = { driverOptions: { connection: { options: '-c search_path=deaf,public,pg_catalog' } } };
      const worker = await openWorker(executed, { orm, plane: { idleMs: 20 } });
      await eventually('it says so', async () => worker.troubles.length > 0);
      expect(worker.troubles[0]).toMatchObject({ code: 'DURABLE_CANNOT_LISTEN' });
      const starter = await open({ engine: STARTS_ONLY });
      register(starter.engine, []);
      const id = freshId();
      await starter.engine.start('order', {}, id);
      await completed(starter, id);
      expect(executed).toEqual([id]);
    });

    it('its connection ends with the ORM', async () => {
      const heard: string[] = [];
      const [orphaned, other] = [await open(), await open()];
      orphaned.engine.onEnqueued((runId) => heard.push(runId));
      await listening(other, 2);
      const run = aRun({ createdAt: new Date(), updatedAt: new Date() });
      await other.store.createRun(run);
      await other.plane.publishControl({ kind: 'enqueued', runId: run.id });
      await eventually('it has nothing more to look for', async () => heard.includes(run.id));
      await orphaned.orm.close(true);
      await listening(other, 1);
    });

    it('fails what cannot be sent, and goes on', async () => {
      const lonely = await open({ orm: { pool: { min: 0, max: 1 } } });
      await lonely.orm.em.transactional(async () => {
        const failure = await failureOf(lonely.plane.publishControl({ kind: 'cancel', runId: 'r' }));
        expect(failure).toMatchObject({ code: 'DURABLE_WOULD_DEADLOCK' });
      });
      await lonely.plane.publishControl({ kind: 'cancel', runId: 'r' });
    });
  }

  const LISTENS = "datname = current_database() and query like 'listen%'";

  async function listeners(orm: MikroORM): Promise<number> {
    return (await sql(orm).execute(`select pid from pg_stat_activity where ${LISTENS}`)).length;
  }

  async function listening(peer: Peer, count: number): Promise<void> {
    await eventually(`${count} listen`, async () => (await listeners(peer.orm)) === count);
  }
});
