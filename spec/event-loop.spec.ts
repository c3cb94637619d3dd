import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { freshId } from './support/fixtures';

const STEPS = 50;

/**
 * A driver that answers within the call would keep a long turn in microtasks, and the renewal of its lease, a timer, would
 * never fire.
 */
eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
  });
  afterAll(() => db.drop());

  it('lets the event loop turn between the steps of a long turn', async () => {
    const engine = new WorkflowEngine({ store: await db.store() });
    let turns = 0;
    const seen: number[] = [];
    engine.register('many steps', '1', async (ctx) => {
      for (let n = 0; n < STEPS; n += 1) await ctx.localStep(`step ${n}`, async () => void seen.push(turns));
    });
    let watching = true;
    const watch = () => {
      turns += 1;
      if (watching) setImmediate(watch);
    };
    setImmediate(watch);
    const id = freshId();
    await engine.start('many steps', {}, id);
    await engine.waitForRun(id, { until: 'terminal' });
    watching = false;
    expect(new Set(seen).size).toBe(STEPS);
    await engine.drain();
  });

  it('lets the event loop turn between calls that share nothing', async () => {
    const store = await db.store({}, { groupCommit: false });
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    for (let call = 0; call < 3; call += 1) await store.listBufferedEvents('none', 1);
    expect(turned).toBe(true);
  });
});
