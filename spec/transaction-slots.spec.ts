import { MikroOrmStateStore } from '../lib';
import { eventually, Gate, watch } from './support/concurrency';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aRun } from './support/fixtures';

const POOL = { min: 0, max: 3 };

/** Steps in transactions take a connection each for as long as they work, and the renewal of their leases needs one. */
eachDatabase(
  KINDS.filter(({ family }) => family !== 'sqlite'),
  (kind) => {
    let db: TestDatabase;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
    });
    afterAll(() => db.drop());

    /** As many transactions as the pool has connections, each held open until its gate opens. */
    async function crowd(stores: readonly MikroOrmStateStore[], count: number) {
      const begun: number[] = [];
      const gates = Array.from({ length: count }, () => new Gate());
      const done = gates.map((gate, n) =>
        stores[n % stores.length]!.transaction(async () => {
          begun.push(n);
          await gate.passed;
          return n;
        }),
      );
      return { begun, gates, done };
    }

    it('leave a connection for leases, whatever store they were begun through, and follow in order', async () => {
      const orm = await db.openReady({ pool: POOL });
      const stores = [new MikroOrmStateStore(orm), new MikroOrmStateStore(orm)];
      const run = aRun({ status: 'running', lockedBy: 'me', lockedUntil: 1 });
      await stores[0]!.createRun(run);
      const { begun, gates, done } = await crowd(stores, 5);
      for (let renewal = 2; renewal < 40; renewal += 1) {
        expect(await stores[1]!.renewRunLock(run.id, 'me', renewal)).toBe(true);
      }
      expect(begun).toEqual([0, 1]);
      gates[1]!.open();
      await eventually('the one that waits longest has begun', async () => begun.length === 3);
      expect(begun).toEqual([0, 1, 2]);
      for (const gate of gates) gate.open();
      expect(await Promise.all(done)).toEqual([0, 1, 2, 3, 4]);
    });

    it('wait no longer than failures are retried, and have not begun then', async () => {
      const orm = await db.openReady({ pool: POOL });
      const patient = new MikroOrmStateStore(orm);
      const hasty = new MikroOrmStateStore(orm, { retry: { forMs: 20 } });
      const { begun, gates, done } = await crowd([patient], 2);
      const refused = await hasty.transaction(async () => begun.push(99)).catch((error) => error);
      expect(refused).toMatchObject({ code: 'DURABLE_DATABASE_ERROR', transient: true, outcomeUnknown: false });
      const waiting = watch(patient.transaction(async () => begun.push(2)));
      for (const gate of gates) gate.open();
      await Promise.all(done);
      await patient.settled();
      expect([waiting.settled, begun]).toEqual([true, [0, 1, 2]]);
    });

    it('are one at a time when there is one connection', async () => {
      const store = await db.store({ pool: { min: 0, max: 1 } });
      const { gates, done } = await crowd([store], 2);
      for (const gate of gates) gate.open();
      expect(await Promise.all(done)).toEqual([0, 1]);
    });
  },
);
