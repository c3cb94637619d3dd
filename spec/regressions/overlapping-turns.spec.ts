import { InMemoryTransport, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { TERMINAL_STATUSES } from '../../lib/types';
import { eventually } from '../support/concurrency';
import { eachDatabase, KINDS, type SqlEm, sql, TestDatabase } from '../support/databases';
import { freshId } from '../support/fixtures';

const RUNS = 30;

/**
 * Two children of one `ctx.all` that end together both wake their parent, and the engine takes no second lease for a run it
 * already holds: two turns then execute what follows.
 */
eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let orm: MikroORM;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady();
    await sql(orm).execute('create table charges (run_id varchar(100))', [], 'run');
  });
  afterAll(() => db.drop());

  it('charges once though two turns of a run execute the charge', async () => {
    const store = new MikroOrmStateStore(orm);
    const engine = new WorkflowEngine({ store, transport: new InMemoryTransport(), reconcileMs: 20 });
    engine.register('leaf', '1', (ctx) => ctx.localStep('leaf', async () => 1));
    engine.register('parent', '1', async (ctx) => {
      await ctx.all('leaf', [1, 2, 3]);
      return ctx.transaction('charge', async (tx) => {
        await (tx as SqlEm).execute('insert into charges (run_id) values (?)', [ctx.runId], 'run');
        return 'charged';
      });
    });
    for (let n = 0; n < RUNS; n += 1) {
      const id = freshId();
      await engine.start('parent', {}, id);
      // The engine misses a child that ends while the turn that will suspend holds the lease; its timer looks again.
      const ended = async () => {
        await engine.resumeDueTimers();
        const run = await engine.getRun(id);
        return run && TERMINAL_STATUSES.includes(run.status) ? run : null;
      };
      const { status, output } = await eventually('the run has ended', ended);
      expect([status, output]).toEqual(['completed', 'charged']);
    }
    await engine.drain();
    await store.settled();
    const charged = await sql(orm).execute('select run_id, count(*) as n from charges group by run_id');
    expect(charged.map(({ n }) => Number(n))).toEqual(Array.from({ length: RUNS }, () => 1));
  });
});
