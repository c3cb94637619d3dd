import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../lib';
import { classify, isOneRowsFault } from '../lib/failures';
import { attendClient } from '../lib/knex-client';
import { type Place, passing } from './failures/conditions';
import { refusals } from './failures/refusals';
import { failureOf, noUnhandledRejections } from './hostile/marked';
import { eventually } from './support/concurrency';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';
import { QueryLog } from './support/query-log';

noUnhandledRejections();

eachDatabase(
  KINDS.filter(({ family }) => family !== 'sqlite'),
  (kind) => {
    const log = new QueryLog();
    let db: TestDatabase;
    let plain: MikroORM;
    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      plain = await db.openReady();
    });
    const last: (() => unknown)[] = [];
    afterAll(async () => {
      for (const work of last) await work();
      await db.drop();
    });

    async function place(): Promise<Place> {
      const { id: runId } = aRun();
      await new MikroOrmStateStore(plain).createRun(aRun({ id: runId }));
      return { kind, db, plain, runId, options: log.options, afterwards: (work) => last.push(work) };
    }

    describe.each(passing(kind))('$what', ({ failure, bringAbout }) => {
      it('is known for what it is, is no row’s fault, and fails a call that may be made again', async () => {
        const where = await place();
        const { orm, lift } = await bringAbout(where);
        await attendClient(orm.em);
        const update = 'update durable_workflow_runs set priority = 1 where id = ?';
        const error = await sql(orm)
          .execute(update, [where.runId])
          .then(fail, (reason: unknown) => reason);
        expect([classify(error), isOneRowsFault(error)]).toEqual([failure, false]);
        const store = new MikroOrmStateStore(orm, { retry: { attempts: 2 } });
        const reported = await failureOf(store.updateRun(where.runId, { priority: 2 }));
        expect(reported).toMatchObject({ transient: true, outcomeUnknown: false, attempts: 2 });
        await lift();
      });

      it('is waited for, by a call that must not be made twice too', async () => {
        const where = await place();
        const { orm, lift } = await bringAbout(where);
        const store = new MikroOrmStateStore(orm);
        log.take();
        const calls = [store.updateRun(where.runId, { priority: 2 }), store.bufferSignal(where.runId, 'once')];
        await eventually('the call has failed once', async () => log.take().some(({ failed }) => failed));
        await lift();
        await Promise.all(calls);
        const read = new MikroOrmStateStore(plain);
        expect(await read.getRun(where.runId)).toMatchObject({ priority: 2 });
        expect(await read.takeBufferedSignal(where.runId)).toEqual({ payload: 'once' });
        expect(await read.takeBufferedSignal(where.runId)).toBeNull();
      });
    });

    it.each(refusals(kind))('$what is $failure, one row’s fault: $isOneRowsFault', async (refusal) => {
      const error = await refusal.provoke(await place());
      expect(error).toBeInstanceOf(Error);
      expect([classify(error), isOneRowsFault(error)]).toEqual([refusal.failure, refusal.isOneRowsFault]);
    });

    it('a name that does not resolve sent nothing', async () => {
      const orm = await db.open({ host: 'no-such-host.invalid', connect: false });
      const store = new MikroOrmStateStore(orm, { retry: { attempts: 2 } });
      expect(await failureOf(store.bufferSignal('token', 1))).toMatchObject({
        ...{ transient: true, outcomeUnknown: false, attempts: 2 },
        cause: { syscall: 'getaddrinfo' },
      });
    });

    it('a group is not taken apart at a server that refuses connections', async () => {
      const orm = await db.open({ port: 1, connect: false, ...log.options });
      const store = new MikroOrmStateStore(orm, { retry: { attempts: 1 } });
      log.take();
      const saves = Array.from({ length: 64 }, (_, seq) => store.saveCheckpoint(aCheckpoint({ runId: 'group', seq })));
      const outcomes = await Promise.allSettled(saves);
      expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
      expect(log.take().length).toBeLessThanOrEqual(2);
    });
  },
);

function fail(): never {
  throw new Error('the statement succeeded');
}
