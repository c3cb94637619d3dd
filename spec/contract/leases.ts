import { setImmediate as macrotask } from 'node:timers/promises';
import { MikroOrmStateStore, type RunStatus, type StateStore, type WorkflowRun } from '../../lib';
import { aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

const NOW = 1_772_359_200_123;

export function leases(subject: Subject): void {
  describe('leases', () => {
    taking(subject);
    statuses(subject);
    afterListing(subject);
    renewing(subject);
    releasing(subject);
  });
}

function taking(subject: Subject): void {
  it('gives a free run to who asks', async () => {
    const { id } = await stored(subject);
    expect(await subject.store.tryLockRun(id, 'me', NOW + 5, NOW)).toBe(true);
    expect(await subject.store.getRun(id)).toMatchObject({ lockedBy: 'me', lockedUntil: NOW + 5 });
  });

  it.each([
    ['before its end', NOW - 1, false],
    ['a fraction of a millisecond before its end', NOW - 0.25, false],
    ['at its end', NOW, true],
    ['after its end', NOW + 1, true],
  ])('asks only the clock it is given: a lease asked for %s', async (_, now, won) => {
    const { id } = await stored(subject, { lockedBy: 'other', lockedUntil: NOW });
    expect(await subject.store.tryLockRun(id, 'me', now + 1000, now)).toBe(won);
    expect((await subject.store.getRun(id))?.lockedBy).toBe(won ? 'me' : 'other');
  });

  it('is not re-entrant: its own owner waits for the end too', async () => {
    const { id } = await stored(subject);
    await subject.store.tryLockRun(id, 'me', NOW + 5, NOW);
    expect(await subject.store.tryLockRun(id, 'me', NOW + 9, NOW + 4)).toBe(false);
    expect((await subject.store.getRun(id))?.lockedUntil).toBe(NOW + 5);
  });

  it('takes an owner without an end for no lease', async () => {
    const { id } = await stored(subject, { lockedBy: 'other' });
    expect(await subject.store.tryLockRun(id, 'me', NOW + 5, NOW)).toBe(true);
  });

  it('takes a lease again that is the same to the millisecond', async () => {
    const { id } = await stored(subject, { lockedBy: 'me', lockedUntil: NOW });
    expect(await subject.store.tryLockRun(id, 'me', NOW, NOW)).toBe(true);
  });

  it('has no lease for a run that is not there', async () => {
    const id = freshId();
    expect(await subject.store.tryLockRun(id, 'me', NOW + 5, NOW)).toBe(false);
    expect(await subject.store.renewRunLock(id, 'me', NOW + 5)).toBe(false);
    await expect(subject.store.releaseRunLock(id)).resolves.toBeUndefined();
    expect(await subject.store.getRun(id)).toBeNull();
  });

  it('changes the lease and nothing else, updatedAt included', async () => {
    const run = await stored(subject);
    await subject.store.tryLockRun(run.id, 'me', NOW + 5, NOW);
    await subject.store.renewRunLock(run.id, 'me', NOW + 9);
    expect(await subject.store.getRun(run.id)).toEqual({ ...run, lockedBy: 'me', lockedUntil: NOW + 9 });
    await subject.store.releaseRunLock(run.id);
    expect(await subject.store.getRun(run.id)).toEqual(run);
  });
}

function statuses(subject: Subject): void {
  const lockable: RunStatus[] = ['pending', 'running', 'suspended', 'cancelling', 'blocked', 'failed'];

  it.each(lockable)('leases a %s run', async (status) => {
    const { id } = await stored(subject, { status });
    expect(await subject.store.tryLockRun(id, 'me', NOW + 5, NOW)).toBe(true);
  });

  needs(subject, 'terminalGuard').each(['completed', 'cancelled', 'dead'] as RunStatus[])(
    'leases no %s run: a peer that listed it before it ended would run it again',
    async (status) => {
      const run = await stored(subject, { status });
      expect(await subject.store.tryLockRun(run.id, 'me', NOW + 5, NOW)).toBe(false);
      expect(await subject.store.getRun(run.id)).toEqual(run);
    },
  );
}

/** An engine lists runs, and leases them one after the other while others carry them on. */
function afterListing(subject: Subject): void {
  const LISTINGS = [
    ['pending', (store: StateStore) => store.listPendingRuns(10_000)],
    ['running', (store: StateStore) => store.listIncompleteRuns()],
  ] as const;
  const lock = (id: string) => subject.store.tryLockRun(id, 'me', NOW + 5, NOW);
  const other = () => subject.peers[0] as StateStore;

  for (const [status, list] of LISTINGS) {
    needs(subject, 'database').each(['suspended', 'blocked', 'failed'] as const)(
      `a run that was listed as ${status} and is %s since is not leased for the listing`,
      async (rest) => {
        const { id } = await stored(subject, { status });
        await list(subject.store);
        await other().updateRun(id, { status: rest });
        expect([await lock(id), await lease(subject, id)]).toEqual([false, [undefined, undefined]]);
        expect(await lock(id)).toBe(true);
      },
    );

    needs(subject, 'database')(`a run that was listed as ${status} and still is active is leased`, async () => {
      const { id } = await stored(subject, { status });
      await list(subject.store);
      await other().updateRun(id, { status: 'running' });
      expect(await lock(id)).toBe(true);
    });
  }

  needs(subject, 'database').each([
    ['is read by whoever wakes it', true, (store, id) => store.getRun(id)],
    ['is found due', true, (store) => store.listDueTimers(NOW)],
    ['was read by somebody a while ago', false, (store, id) => store.getRun(id).then(() => macrotask())],
    ['is looked at by a dashboard', false, (store) => store.listRuns({ status: 'suspended' })],
    ['is not in the listing of a second engine', false, (store) => store.listIncompleteRuns()],
  ] as [string, boolean, (store: StateStore, id: string) => Promise<unknown>][])(
    'a run that was listed as running and %s since is leased: %s',
    async (_what, leased, read) => {
      const { id } = await stored(subject, { status: 'running' });
      await subject.store.listIncompleteRuns();
      await other().updateRun(id, { status: 'suspended', wakeAt: NOW });
      await read(subject.store, id);
      expect(await lock(id)).toBe(leased);
    },
  );

  needs(subject, 'database').each([
    ['due and failed since', { status: 'failed' }, false],
    ['due and runs since', { status: 'running' }, false],
    ['due and sleeps on since', { status: 'suspended', wakeAt: NOW + 1 }, false],
    ['due and has no timer since', { status: 'suspended', wakeAt: undefined }, true],
    ['due and still is', { priority: 1 }, true],
  ] as [string, Partial<WorkflowRun>, boolean][])('a run that was %s is leased: %s', async (_what, since, leased) => {
    const { id } = await stored(subject, { status: 'suspended', wakeAt: NOW });
    await subject.store.listDueTimers(NOW);
    await other().updateRun(id, since);
    expect(await lock(id)).toBe(leased);
  });

  needs(subject, 'database').each([
    ['failed', false],
    ['blocked', true],
  ] as [RunStatus, boolean][])('a run that was blocked and is %s is leased: %s', async (status, leased) => {
    const { id } = await stored(subject, { status: 'blocked' });
    await subject.store.listRuns({ statuses: ['blocked'] });
    await other().updateRun(id, { status });
    expect(await lock(id)).toBe(leased);
  });

  needs(subject, 'database')('each of two engines on one store is held to its own listing', async () => {
    const { id } = await stored(subject, { status: 'running' });
    await subject.store.listIncompleteRuns();
    await subject.store.listIncompleteRuns();
    await other().updateRun(id, { status: 'failed' });
    expect([await lock(id), await lock(id), await lock(id)]).toEqual([false, false, true]);
  });
}

function renewing(subject: Subject): void {
  it('renews for the owner alone', async () => {
    const { id } = await stored(subject, { lockedBy: 'me', lockedUntil: NOW });
    expect(await subject.store.renewRunLock(id, 'other', NOW + 5)).toBe(false);
    expect(await subject.store.renewRunLock(id, 'Me', NOW + 5)).toBe(false);
    expect((await subject.store.getRun(id))?.lockedUntil).toBe(NOW);
    expect(await subject.store.renewRunLock(id, 'me', NOW + 5)).toBe(true);
    expect((await subject.store.getRun(id))?.lockedUntil).toBe(NOW + 5);
  });

  it('renews to the end it already has', async () => {
    const { id } = await stored(subject, { lockedBy: 'me', lockedUntil: NOW });
    expect(await subject.store.renewRunLock(id, 'me', NOW)).toBe(true);
    expect(await subject.store.renewRunLock(id, 'me', NOW)).toBe(true);
    expect(await subject.store.renewRunLock(id, 'other', NOW)).toBe(false);
  });

  needs(subject, 'database')('moves no end back: of renewals held up together the oldest may come last', async () => {
    const { id } = await stored(subject, { lockedBy: 'me', lockedUntil: NOW });
    for (const until of [NOW + 30, NOW + 20, NOW + 30]) {
      expect(await subject.store.renewRunLock(id, 'me', until)).toBe(true);
      expect((await subject.store.getRun(id))?.lockedUntil).toBe(NOW + 30);
    }
  });

  it('renews an expired lease that nobody took', async () => {
    const { id } = await stored(subject, { lockedBy: 'me', lockedUntil: 1 });
    expect(await subject.store.renewRunLock(id, 'me', NOW)).toBe(true);
  });

  it('renews no lease that was taken over or given back', async () => {
    const { id } = await stored(subject, { lockedBy: 'me', lockedUntil: NOW });
    await subject.store.tryLockRun(id, 'other', NOW + 10, NOW);
    expect(await subject.store.renewRunLock(id, 'me', NOW + 20)).toBe(false);
    await subject.store.releaseRunLock(id);
    expect(await subject.store.renewRunLock(id, 'other', NOW + 20)).toBe(false);
    expect(await lease(subject, id)).toEqual([undefined, undefined]);
  });
}

function releasing(subject: Subject): void {
  it('releases it, so that the next can take it', async () => {
    const { id } = await stored(subject);
    await subject.store.tryLockRun(id, 'other', NOW + 1000, NOW);
    await subject.store.releaseRunLock(id);
    expect(await lease(subject, id)).toEqual([undefined, undefined]);
    expect(await subject.store.tryLockRun(id, 'me', NOW + 5, NOW)).toBe(true);
  });

  needs(subject, 'database')('releases no lease that another has taken over from its own', async () => {
    const { id } = await stored(subject);
    await subject.store.tryLockRun(id, 'stalled', NOW + 5, NOW);
    await subject.peers[0]!.tryLockRun(id, 'next', NOW + 100, NOW + 5);
    await subject.store.releaseRunLock(id);
    expect(await lease(subject, id)).toEqual(['next', NOW + 100]);
    // Nor does a second turn of that run, which took no lease of its own.
    await subject.store.releaseRunLock(id);
    expect(await lease(subject, id)).toEqual(['next', NOW + 100]);
  });

  needs(subject, 'database')('releases no lease of another engine on the same store', async () => {
    const { id } = await stored(subject);
    await subject.store.tryLockRun(id, 'stalled', NOW + 5, NOW);
    await subject.store.tryLockRun(id, 'next', NOW + 100, NOW + 5);
    await subject.store.releaseRunLock(id);
    expect(await lease(subject, id)).toEqual(['next', NOW + 100]);
    await subject.store.releaseRunLock(id);
    expect(await lease(subject, id)).toEqual([undefined, undefined]);
  });

  needs(subject, 'database')('releases whoever holds it when no engine leases through the store', async () => {
    const { id } = await stored(subject);
    await subject.store.tryLockRun(id, 'crashed', NOW + 5, NOW);
    const operator = new MikroOrmStateStore(subject.orm);
    await operator.releaseRunLock(id);
    expect(await lease(subject, id)).toEqual([undefined, undefined]);
  });

  needs(subject, 'database')('has forgotten a lease it won on a run that was deleted since', async () => {
    const run = await stored(subject);
    await subject.store.tryLockRun(run.id, 'stalled', NOW + 5, NOW);
    await subject.store.deleteRun(run.id);
    await subject.store.createRun(run);
    await subject.store.tryLockRun(run.id, 'me', NOW + 100, NOW);
    await subject.store.releaseRunLock(run.id);
    expect(await lease(subject, run.id)).toEqual([undefined, undefined]);
  });

  needs(subject, 'database')('releases many leases at once, its own alone', async () => {
    const runs = [
      await stored(subject),
      await stored(subject),
      await stored(subject, { lockedBy: 'x', lockedUntil: 9 }),
    ];
    const [mine, lost, other] = runs.map(({ id }) => id) as [string, string, string];
    for (const [id, owner] of [
      [mine, 'me'],
      [lost, 'me too'],
    ] as const) {
      await subject.store.tryLockRun(id, owner, NOW + 5, NOW);
    }
    await subject.peers[0]!.tryLockRun(lost, 'next', NOW + 100, NOW + 5);
    await Promise.all([mine, lost, other].map((id) => subject.store.releaseRunLock(id)));
    const owners = await Promise.all([mine, lost, other].map(async (id) => (await lease(subject, id))[0]));
    expect(owners).toEqual([undefined, 'next', 'x']);
  });

  it('releases a run that nobody holds', async () => {
    const run = await stored(subject);
    await subject.store.releaseRunLock(run.id);
    expect(await subject.store.getRun(run.id)).toEqual(run);
  });

  it('releases although a call for the run failed', async () => {
    const { id } = await stored(subject);
    await subject.store.tryLockRun(id, 'me', NOW + 5, NOW);
    const missing = subject.store.updateRun(freshId(), { status: 'dead' }).catch(() => 'refused');
    await Promise.all([missing, subject.store.releaseRunLock(id)]);
    expect((await subject.store.getRun(id))?.lockedBy).toBeUndefined();
  });
}

async function lease({ store }: Subject, id: string): Promise<unknown[]> {
  const run = await store.getRun(id);
  return [run?.lockedBy, run?.lockedUntil];
}

async function stored({ store }: Subject, fields: Partial<WorkflowRun> = {}): Promise<WorkflowRun> {
  const run = aRun({ namespace: 'default', ...fields });
  await store.createRun(run);
  return run;
}
