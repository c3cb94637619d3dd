import { MikroOrmStateStore } from '../lib';
import { MARKER, markedCheckpoint, markedRun, noUnhandledRejections } from './hostile/marked';
import { OpenTransaction, untilBlocked } from './support/concurrency';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';

noUnhandledRejections();

eachDatabase(
  KINDS.filter(({ family }) => family !== 'sqlite'),
  (kind) => {
    const printed: unknown[][] = [];
    let db: TestDatabase;
    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      for (const method of ['log', 'warn', 'error', 'info', 'debug'] as const) {
        jest.spyOn(console, method).mockImplementation((...words) => void printed.push(words));
      }
    });
    afterAll(async () => {
      jest.restoreAllMocks();
      await db.drop();
    });

    it('nothing of a statement is printed when its connection dies', async () => {
      const plain = await db.openReady();
      const orm = await db.open({ pool: { min: 0, max: 1 } });
      const store = new MikroOrmStateStore(orm);
      const run = markedRun();
      await store.createRun(run);
      const postgres = kind.family === 'postgresql';
      for (let n = 0; n < 3; n += 1) {
        const [{ id }] = await sql(orm).execute<[{ id: number }]>(
          `select ${postgres ? 'pg_backend_pid()' : 'connection_id()'} as id`,
        );
        const text = 'update durable_workflow_runs set priority = 3 where id = ?';
        const holder = await OpenTransaction.holding(plain, text, [run.id]);
        const update = Promise.allSettled([store.updateRun(run.id, { output: { secret: MARKER } })]);
        await untilBlocked(kind, plain);
        const end = postgres ? `select pg_terminate_backend(${id})` : `kill ${id}`;
        await sql(plain).execute(end, [], postgres ? 'all' : 'run');
        await holder.rollback();
        await update;
        await store.saveCheckpoint(markedCheckpoint());
      }
      // `mysql2` says by the connection’s state that it is gone, of which knex prints nothing.
      if (kind.driver !== 'mysql') expect(printed.length).toBeGreaterThan(0);
      expect(JSON.stringify(printed)).not.toContain(MARKER);
      expect(JSON.stringify(printed)).not.toMatch(/update .*durable_|insert into/i);
    });
  },
);
