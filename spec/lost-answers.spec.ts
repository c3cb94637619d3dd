import type { MikroORM } from '@mikro-orm/core';
import { DurableDatabaseError, MikroOrmStateStore, type WorkflowRun } from '../lib';
import { connection, eachDatabase, KINDS, type SqlEm, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun, freshId } from './support/fixtures';
import { Thief } from './support/thief';

const NOW = 1_772_359_200_000;
/** Packets begin with their length and kind. */
const COMMIT = /^.{0,9}commit/i;
const UPDATE = /update .durable_workflow_runs. set .status/;
const at = (ms: number) => new Date(NOW + ms);

/**
 * The answer to a statement is lost after it took effect, and another process acts before the store tries again. What is
 * tried again must not undo that.
 */
eachDatabase(
  KINDS.filter(({ family }) => family !== 'sqlite'),
  (kind) => {
    let db: TestDatabase;
    let thief: Thief;
    let robbed: MikroORM;
    let other: MikroORM;
    let store: MikroOrmStateStore;
    let peer: MikroOrmStateStore;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      const { host, port } = connection(kind, db.dbName);
      thief = await Thief.before(
        host as string,
        (port as number | undefined) ?? (kind.family === 'postgresql' ? 5432 : 3306),
      );
      robbed = await db.openReady({ host: '127.0.0.1', port: thief.port });
      other = await db.open();
      store = new MikroOrmStateStore(robbed);
      peer = new MikroOrmStateStore(other);
      await Promise.all([store.getRun('none'), peer.getRun('none')]);
      await sql(other).execute('create table bookings (id varchar(100))', [], 'run');
    });
    afterAll(async () => {
      await db.drop();
      await thief.close();
    });

    /** Make a call whose answer is stolen, while somebody acts; what the call came to. */
    async function lost<T>(
      pattern: RegExp,
      meanwhile: () => Promise<unknown>,
      call: () => Promise<T>,
    ): Promise<T | Error> {
      const stolen = thief.steal(pattern, meanwhile);
      const outcome = await call().catch((error: Error) => error);
      await stolen;
      return outcome;
    }

    async function stored(fields: Partial<WorkflowRun> = {}): Promise<WorkflowRun> {
      const run = aRun({ namespace: 'default', updatedAt: at(0), ...fields });
      await peer.createRun(run);
      return run;
    }

    const UNKNOWN = { code: 'DURABLE_DATABASE_ERROR', outcomeUnknown: true };

    it('bufferEvent: an event wakes one run', async () => {
      const event = { id: freshId(), name: freshId(), payload: 1, publishedAt: NOW };
      const claims: boolean[] = [];
      const claim = async () => claims.push(await peer.removeBufferedEvent(event.id));
      expect(await lost(/insert into .durable_buffered_signals/, claim, () => store.bufferEvent(event))).toMatchObject(
        UNKNOWN,
      );
      await claim();
      expect(claims).toEqual([true, false]);
    });

    it('putSignalWaiter: who has put its waiter on the token since keeps it', async () => {
      const [token, runId] = [freshId(), freshId()];
      const theirs = { token, runId: freshId(), seq: 7 };
      const act = async () => {
        await peer.takeSignalWaiter(token);
        await peer.putSignalWaiter(theirs);
      };
      await lost(/insert into .durable_signal_waiters/, act, () => store.putSignalWaiter({ token, runId, seq: 3 }));
      expect(await peer.takeSignalWaiter(token)).toEqual(theirs);
    });

    it.each(['running', 'completed'] as const)(
      'saveCheckpoint: a step completed since is not %s again',
      async (status) => {
        const theirs = aCheckpoint({ output: 'theirs' });
        const mine = { ...theirs, status, output: 'mine' };
        await lost(
          /insert into .durable_step_checkpoints/,
          () => peer.saveCheckpoint(theirs),
          () => store.saveCheckpoint(mine),
        );
        expect(await peer.getCheckpoint(theirs.runId, 0)).toEqual(theirs);
      },
    );

    it.each([
      ['cancelled', { status: 'suspended' }, { status: 'cancelled' }],
      ['picked up', { status: 'pending' }, { status: 'running' }],
      ['suspended elsewhere', { status: 'running' }, { status: 'suspended', wakeAt: NOW }],
    ] as [string, Partial<WorkflowRun>, Partial<WorkflowRun>][])(
      'updateRun: a run that was %s since stays so',
      async (_what, mine, theirs) => {
        const run = await stored({ status: 'running' });
        const act = () => peer.updateRun(run.id, { ...theirs, updatedAt: at(2) });
        await lost(UPDATE, act, () => store.updateRun(run.id, { ...mine, updatedAt: at(1) }));
        expect(await peer.getRun(run.id)).toMatchObject(theirs);
      },
    );

    it('updateRun: a run that is opened again is not opened twice', async () => {
      const run = await stored({ status: 'failed' });
      const act = () => peer.tryLockRun(run.id, 'peer', NOW + 60_000, NOW);
      const open = { status: 'pending', error: undefined, updatedAt: at(1) } as const;
      await lost(UPDATE, act, () => store.updateRun(run.id, open));
      expect(await peer.getRun(run.id)).toMatchObject({ status: 'pending', lockedBy: 'peer' });
    });

    it('updateRun: is made when it had not taken effect, and many at once are each judged by themselves', async () => {
      const runs = await Promise.all(Array.from({ length: 6 }, () => stored({ status: 'running' })));
      const act = () => peer.updateRun((runs[0] as WorkflowRun).id, { status: 'cancelled', updatedAt: at(2) });
      const patch = ({ id }: WorkflowRun) => store.updateRun(id, { status: 'suspended', updatedAt: at(1) });
      const calls = lost(kind.family === 'postgresql' ? UPDATE : COMMIT, act, () => Promise.all(runs.map(patch)));
      await calls;
      const statuses = await Promise.all(runs.map(async ({ id }) => (await peer.getRun(id))?.status));
      expect(statuses).toEqual(['cancelled', ...Array.from({ length: 5 }, () => 'suspended')]);
    });

    it('updateRun: fails when a patch does not say when it was made', async () => {
      const run = await stored();
      const outcome = await lost(
        /update .durable_workflow_runs. set .priority/,
        async () => undefined,
        () => store.updateRun(run.id, { priority: 1 }),
      );
      expect(outcome).toMatchObject(UNKNOWN);
    });

    it('deleteRun: a run started under the same id since stays', async () => {
      const run = await stored();
      const act = () => peer.createRun({ ...run, input: 'new' });
      expect(await lost(COMMIT, act, () => store.deleteRun(run.id))).toMatchObject(UNKNOWN);
      expect(await peer.getRun(run.id)).toMatchObject({ input: 'new' });
    });

    it('deleteRun: is done when the run is gone', async () => {
      const run = await stored();
      expect(
        await lost(
          COMMIT,
          async () => undefined,
          () => store.deleteRun(run.id),
        ),
      ).toBeUndefined();
      expect(await peer.getRun(run.id)).toBeNull();
    });

    it('pruneTerminalRuns: a batch is one batch', async () => {
      await db.clear(other);
      for (let n = 0; n < 6; n += 1) await stored({ status: 'completed', updatedAt: at(n) });
      const prune = () => store.pruneTerminalRuns({ statuses: ['completed'], maxCount: 0 }, NOW + 60_000, 4);
      expect(await lost(COMMIT, async () => undefined, prune)).toBe(4);
      expect(await peer.listRuns({})).toHaveLength(2);
    });

    it('tryLockRun: a lease that was won is won', async () => {
      const { id } = await stored();
      const lock = () => store.tryLockRun(id, 'me', NOW + 60_000, NOW);
      expect(await lost(/set .locked_by. = /, async () => undefined, lock)).toBe(true);
    });

    it('releaseRunLock: whoever leased the run since keeps its lease', async () => {
      const { id } = await stored({ lockedBy: 'crashed', lockedUntil: NOW + 60_000 });
      const operator = new MikroOrmStateStore(robbed);
      const act = () => peer.tryLockRun(id, 'peer', NOW + 60_000, NOW);
      expect(await lost(/set .locked_by. = null/, act, () => operator.releaseRunLock(id))).toMatchObject(UNKNOWN);
      expect(await peer.getRun(id)).toMatchObject({ lockedBy: 'peer' });
    });

    const book = (id: string) => (em: unknown) =>
      (em as SqlEm).execute('insert into bookings (id) values (?)', [id], 'run');

    it('transaction: work that was committed is done, whatever became of the answer', async () => {
      const [id, checkpoint] = [freshId('booking'), aCheckpoint({ output: 'mine' })];
      const work = () =>
        store.transaction(async (tx) => {
          await book(id)(tx.raw);
          await tx.saveCheckpoint(checkpoint);
          return checkpoint.output;
        });
      expect(await lost(COMMIT, async () => undefined, work)).toBe('mine');
      expect(await sql(other).execute('select id from bookings where id = ?', [id])).toHaveLength(1);
    });

    it('transaction: is looked up in the place that it has, when there is no other', async () => {
      const orm = await db.open({ host: '127.0.0.1', port: thief.port, pool: { min: 0, max: 2 } });
      const small = new MikroOrmStateStore(orm, { retry: { forMs: 2000 } });
      await small.getRun('none');
      const checkpoint = aCheckpoint({ output: 'mine' });
      const work = () =>
        small.transaction(async (tx) => {
          await tx.saveCheckpoint(checkpoint);
          return checkpoint.output;
        });
      expect(await lost(COMMIT, async () => undefined, work)).toBe('mine');
    });

    it('transaction: work without a checkpoint cannot be told, and fails as unknown', async () => {
      const outcome = await lost(
        COMMIT,
        async () => undefined,
        () => store.transaction(async (tx) => book(freshId())(tx.raw)),
      );
      expect(outcome).toBeInstanceOf(DurableDatabaseError);
      expect(outcome).toMatchObject(UNKNOWN);
    });
  },
);
