import { CodecStateStore, type StateStore } from '@dudousxd/nestjs-durable-core';
import type { MikroORM, Options } from '@mikro-orm/core';
import { MikroOrmStateStore, type StoreTransaction } from '../../lib';
import { OpenTransaction } from '../support/concurrency';
import { type DatabaseKind, eachDatabase, OWN_DRIVERS, type SqlEm, sql, TestDatabase } from '../support/databases';
import { aCheckpoint, freshId } from '../support/fixtures';

const SERVERS = OWN_DRIVERS.filter(({ family }) => family !== 'sqlite');

/** How a session is told what it is to do with a row that was committed since its snapshot, or is locked for long. */
function settings({ system }: DatabaseKind, isolation: string): Options {
  const connection = {
    postgresql: { options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')} -c lock_timeout=500` },
    mariadb: { sessionVariables: { innodb_snapshot_isolation: 1, innodb_lock_wait_timeout: 1 } },
    mysql: {},
    sqlite: {},
  }[system];
  return { driverOptions: { connection } };
}

/**
 * A step that reads before its checkpoint is saved has a snapshot that is older than what another execution commits
 * meanwhile. At these levels of isolation the database then undoes it, instead of letting it see that it came second.
 */
eachDatabase(
  SERVERS.filter(({ system }) => system !== 'mysql'),
  (kind) => {
    const levels = kind.system === 'postgresql' ? ['repeatable read', 'serializable'] : ['snapshot'];

    describe.each(levels)('at %s', (level) => {
      let db: TestDatabase;
      let orm: MikroORM;

      beforeAll(async () => {
        db = await TestDatabase.create(kind);
        orm = await db.openReady(settings(kind, level));
      });
      afterAll(() => db.drop());

      const pay = (store: StateStore, runId: string, who: string, then?: () => Promise<unknown>) =>
        store.transaction?.(async (tx: StoreTransaction) => {
          const em = tx.raw as SqlEm;
          await em.execute('select count(*) from host_orders');
          await em.execute('insert into host_orders (id, total) values (?, 1)', [`${runId} ${who}`], 'run');
          await then?.();
          const output = { who };
          await tx.saveCheckpoint(aCheckpoint({ runId, name: 'pay', output }));
          // PostgreSQL refuses it by itself when the work is undone.
          await em
            .execute('insert into host_orders (id, total) values (?, 1)', [`${runId} after ${who}`], 'run')
            .catch(() => undefined);
          return output;
        });

      async function overlapping(store: StateStore) {
        const runId = freshId();
        const second = pay(store, runId, 'second', () => pay(store, runId, 'first') as Promise<unknown>);
        const outcome = await Promise.allSettled([second]);
        const rows = await sql(orm).execute<{ id: string }[]>('select id from host_orders where id like ?', [
          `${runId}%`,
        ]);
        return { outcome: outcome[0], paid: rows.map(({ id }) => id.split(' ').at(-1)) };
      }

      it('the second execution of a step gives what the first has given', async () => {
        const codec = {
          encode: (value: unknown) => ({ value }),
          decode: (coded: unknown) => (coded as { value: unknown }).value,
        };
        for (const store of [new MikroOrmStateStore(orm), new MikroOrmStateStore(orm, { codec })]) {
          const { outcome, paid } = await overlapping(store);
          expect(outcome).toEqual({ status: 'fulfilled', value: { who: 'first' } });
          expect(new Set(paid)).toEqual(new Set(['first']));
        }
      });

      it('and fails under a wrapper that encodes payloads, with which only the wrapper can tell what that is', async () => {
        const codec = { encode: (value: unknown) => ({ coded: value }), decode: (value: unknown) => value };
        const { outcome, paid } = await overlapping(new CodecStateStore(new MikroOrmStateStore(orm), codec));
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'DURABLE_STEP_SUPERSEDED' } });
        expect(new Set(paid)).toEqual(new Set(['first']));
      });

      it('what is undone for another reason fails, and nothing that the work writes after it stays', async () => {
        const runId = freshId();
        const competitor = await OpenTransaction.holding(
          await db.open(),
          "insert into durable_step_checkpoints (run_id, seq, name, kind, step_id, status, attempts, enqueued_at, started_at, finished_at) values (?, 0, 'pay', 'local', 'x', 'running', 1, '2026-01-01', '2026-01-01', '2026-01-01')",
          [runId],
        );
        const work = new MikroOrmStateStore(orm).transaction(async (tx) => {
          const em = tx.raw as SqlEm;
          const write = (n: number) =>
            em.execute('insert into host_orders (id, total) values (?, 1)', [`${runId} ${n}`], 'run');
          await write(1);
          await tx.saveCheckpoint(aCheckpoint({ runId, name: 'pay' }));
          await write(2).catch(() => undefined);
        });
        const failed = expect(work).rejects.toMatchObject({
          code: 'DURABLE_DATABASE_ERROR',
          transient: true,
          outcomeUnknown: false,
        });
        await failed;
        await competitor.rollback();
        expect(await sql(orm).execute('select id from host_orders where id like ?', [`${runId}%`])).toEqual([]);
      });
    });
  },
);
