import { eachDatabase, KINDS, TestDatabase } from '../support/databases';
import { aRun } from '../support/fixtures';

// What is kept is rounded up; a present rounded up as well would be ahead of its clock.
eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
  });
  afterAll(() => db.drop());

  it('neither takes a lease nor wakes a timer within the millisecond before its end', async () => {
    const store = await db.store();
    const run = aRun({ status: 'suspended', wakeAt: 1000.75, lockedBy: 'them', lockedUntil: 1000.75 });
    await store.createRun(run);
    expect(await store.listDueTimers(1000.25)).toEqual([]);
    expect(await store.tryLockRun(run.id, 'me', 2000, 1000.25)).toBe(false);
    expect(await store.listDueTimers(1001)).toHaveLength(1);
    expect(await store.tryLockRun(run.id, 'me', 2000, 1001)).toBe(true);
  });
});
