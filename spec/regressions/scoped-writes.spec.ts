import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { eachDatabase, KINDS, TestDatabase } from '../support/databases';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
  });
  afterAll(() => db.drop());

  async function twoNamespaces() {
    const store = await db.store();
    const [namespace, other] = [freshId('ns'), freshId('ns')];
    const [mine, theirs] = [aRun({ namespace }), aRun({ namespace: other })];
    await store.createRun(mine);
    await store.createRun(theirs);
    return { store, confined: store.withScope({ namespace }), mine: mine.id, theirs: theirs.id };
  }

  it('leaves a token with the run of another namespace that waits on it', async () => {
    const { store, confined, mine, theirs } = await twoNamespaces();
    const waiter = { token: freshId('token'), runId: theirs, seq: 3, parallelGroup: 'all:0' };
    await store.putSignalWaiter(waiter);
    await confined.putSignalWaiter({ token: waiter.token, runId: mine, seq: 1 });
    await confined.putSignalWaiter({ token: waiter.token, runId: freshId('nobody'), seq: 1 });
    expect(await store.takeSignalWaiter(waiter.token)).toEqual(waiter);
  });

  it('takes a token over from a run of its own namespace and from one that is gone', async () => {
    const { store, confined, mine } = await twoNamespaces();
    for (const owner of [mine, freshId('gone')]) {
      const waiter = { token: freshId('token'), runId: mine, seq: 1, parallelGroup: 'all:1' };
      await store.putSignalWaiter({ token: waiter.token, runId: owner, seq: 0 });
      await confined.putSignalWaiter(waiter);
      expect(await store.takeSignalWaiter(waiter.token)).toEqual(waiter);
    }
  });

  it('saves no checkpoint of another namespace in a step transaction', async () => {
    const { store, confined, mine, theirs } = await twoNamespaces();
    const kept = aCheckpoint({ runId: theirs, output: 'kept' });
    await store.saveCheckpoint(kept);
    await confined.transaction(async (tx) => {
      await tx.saveCheckpoint(aCheckpoint({ runId: mine }));
      await tx.saveCheckpoint(aCheckpoint({ runId: theirs, output: 'lost' }));
      await tx.saveCheckpoint(aCheckpoint({ runId: theirs, seq: 1 }));
    });
    expect(await store.listCheckpoints(theirs)).toEqual([kept]);
    expect(await store.listCheckpoints(mine)).toHaveLength(1);
  });

  it('lets an engine start runs for its own pool and for another', async () => {
    const store = await db.store();
    const [ours, theirs] = [freshId('ns'), freshId('ns')];
    const confined = new WorkflowEngine({ store: store.withScope({ namespace: ours }) });
    const other = new WorkflowEngine({ store: store.withScope({ namespace: theirs }), namespace: theirs });
    confined.register('who', '1', async () => 'ours');
    other.register('who', '1', async () => 'theirs');
    const [mine, handed] = [freshId('mine'), freshId('handed')];
    await confined.start('who', {}, mine);
    await confined.start('who', {}, handed, { namespace: theirs });
    await confined.waitForRun(mine, { until: 'terminal' });
    expect(await confined.getRun(handed)).toBeNull();
    await other.runPending();
    await other.waitForRun(handed, { until: 'terminal' });
    expect(await store.getRun(mine)).toMatchObject({ namespace: ours, output: 'ours' });
    expect(await store.getRun(handed)).toMatchObject({ namespace: theirs, output: 'theirs' });
    await confined.drain();
    await other.drain();
    await store.settled();
  });
});
