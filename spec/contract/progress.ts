import type { RunStatus, SignalWaiter, StepCheckpoint, WorkflowRun } from '../../lib';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

const NOW = 1_772_359_200_123;
const ENDS: readonly RunStatus[] = ['completed', 'cancelled', 'dead', 'failed'];
const UNFINISHED: readonly RunStatus[] = ['pending', 'running', 'suspended', 'cancelling', 'blocked'];

/** What a step or a run has reached stays, whatever an older turn writes; what the engine opens again on purpose is open. */
export function progress(subject: Subject): void {
  describe('progress', () => {
    steps(subject);
    waiters(subject);
    runs(subject);
    reopening(subject);
  });
}

function steps(subject: Subject): void {
  const save = (checkpoint: StepCheckpoint) => subject.store.saveCheckpoint(checkpoint);
  const at = ({ runId, seq }: StepCheckpoint) => subject.store.getCheckpoint(runId, seq);

  needs(subject, 'database').each(
    (['pending', 'running', 'failed'] as const).flatMap((status) =>
      ([undefined, 'running', 'suspended', 'completed', 'cancelled'] as const).map((run) => [status, run] as const),
    ),
  )('a completed step is not set back to %s in a run that is %s', async (status, run) => {
    const done = aCheckpoint({ output: { ok: true }, attempts: 3 });
    if (run) await subject.store.createRun(aRun({ id: done.runId, status: run }));
    await save(done);
    await save(aCheckpoint({ runId: done.runId, status, input: 'again', parallelGroup: 'all:0' }));
    expect(await at(done)).toEqual(done);
  });

  needs(subject, 'database').each(['failed', 'dead'] as const)(
    'a completed step is opened again in a run that is %s: so the engine requeues a failed child',
    async (status) => {
      const { id } = await stored(subject, { status });
      const done = aCheckpoint({ runId: id, kind: 'signal', output: { ok: false } });
      await save(done);
      await save({ ...done, status: 'running', output: undefined });
      expect(await at(done)).toEqual({ ...done, status: 'running', output: undefined });
    },
  );

  it.each(['pending', 'running', 'failed', 'completed'] as const)('a %s step is completed', async (status) => {
    const before = aCheckpoint({ status, output: 'before', wakeAt: NOW });
    const done = aCheckpoint({ runId: before.runId, output: 'done' });
    await save(before);
    await save(done);
    expect(await at(done)).toEqual(done);
  });

  needs(subject, 'database')('a step that is kept does not keep its neighbours from being saved', async () => {
    const runId = freshId();
    const done = Array.from({ length: 4 }, (_, n) => aCheckpoint({ runId, seq: 2 * n, output: n }));
    await Promise.all(done.map(save));
    const again = Array.from({ length: 8 }, (_, seq) => aCheckpoint({ runId, seq, status: 'running' }));
    await Promise.all(again.map(save));
    const expected = again.map((checkpoint) => done.find(({ seq }) => seq === checkpoint.seq) ?? checkpoint);
    expect(await subject.store.listCheckpoints(runId)).toEqual(expected);
  });
}

/** An older turn puts the waiters of its steps again, whatever has been delivered since. */
function waiters(subject: Subject): void {
  const waiterOf = ({ runId, seq }: StepCheckpoint, token = freshId('token')): SignalWaiter => ({ token, runId, seq });

  needs(subject, 'database')('no waiter is put for a step that is completed, beside others that are', async () => {
    const runId = freshId();
    const steps = Array.from({ length: 6 }, (_, seq) =>
      aCheckpoint({ runId, seq, status: seq % 2 ? 'completed' : 'running' }),
    );
    await Promise.all(steps.map((step) => subject.store.saveCheckpoint(step)));
    const all = steps.map((step) => waiterOf(step));
    await Promise.all(all.map((waiter) => subject.store.putSignalWaiter(waiter)));
    const taken = await Promise.all(all.map(({ token }) => subject.store.takeSignalWaiter(token)));
    expect(taken).toEqual(all.map((waiter) => (waiter.seq % 2 ? null : waiter)));
  });

  needs(subject, 'database')(
    'a waiter that was left over by a completed step is neither listed nor taken',
    async () => {
      const step = aCheckpoint();
      const left = waiterOf(step);
      await subject.store.putSignalWaiter(left);
      await subject.store.saveCheckpoint(step);
      expect(await subject.store.listSignalWaiters(left.token)).toEqual([]);
      expect(await subject.store.takeSignalWaiter(left.token)).toBeNull();
    },
  );

  needs(subject, 'database')('a waiter of a completed step takes no token from one that waits', async () => {
    const done = aCheckpoint();
    const live = waiterOf(aCheckpoint({ runId: done.runId, seq: 4 }));
    await subject.store.saveCheckpoint(done);
    await subject.store.putSignalWaiter(live);
    await subject.store.putSignalWaiter(waiterOf(done, live.token));
    expect(await subject.store.listSignalWaiters(live.token)).toEqual([live]);
    expect(await subject.store.takeSignalWaiter(live.token)).toEqual(live);
  });

  needs(subject, 'database')('a waiter takes the token that one of a completed step has left over', async () => {
    const done = aCheckpoint();
    const left = waiterOf(done);
    await subject.store.putSignalWaiter(left);
    await subject.store.saveCheckpoint(done);
    const live = { ...left, seq: 4 };
    await subject.store.putSignalWaiter(live);
    expect(await subject.store.takeSignalWaiter(left.token)).toEqual(live);
  });
}

function runs(subject: Subject): void {
  needs(subject, 'database').each(ENDS.flatMap((end) => UNFINISHED.map((status) => [end, status] as const)))(
    'a %s run is not set back to %s, and that is no error',
    async (end, status) => {
      const run = await stored(subject, { status: end, output: 'done', searchAttributes: { a: 1 } });
      const patch = {
        status,
        wakeAt: NOW,
        error: { message: 'late' },
        searchAttributes: { a: 2 },
        updatedAt: new Date(),
      };
      expect(await patched(subject, run, patch)).toEqual(run);
      expect(await subject.store.listRuns({ attributes: [{ key: 'a', op: 'eq', value: 2 }] })).toEqual([]);
    },
  );

  needs(subject, 'database').each(
    (['completed', 'cancelled', 'dead'] as const).flatMap((end) =>
      (['failed', 'dead'] as const).map((status) => [end, status] as const),
    ),
  )('a %s run does not become %s by a turn that gives up late', async (end, status) => {
    const run = await stored(subject, { status: end });
    expect(await patched(subject, run, { status, error: { message: 'late' } })).toEqual(run);
  });

  needs(subject, 'database').each(
    ENDS.flatMap((end) => (['completed', 'cancelled'] as const).map((status) => [end, status] as const)),
  )('a %s run becomes %s: the end that is reached last counts', async (end, status) => {
    const run = await stored(subject, { status: end });
    expect(await patched(subject, run, { status, output: 2 })).toEqual({ ...run, status, output: 2 });
  });

  needs(subject, 'database').each(ENDS)('a %s run is patched by all that says nothing of its status', async (end) => {
    const run = await stored(subject, { status: end });
    expect(await patched(subject, run, { wakeAt: NOW, priority: 3 })).toEqual({ ...run, wakeAt: NOW, priority: 3 });
  });

  needs(subject, 'database')('many patches at once are made as far as they undo nothing', async () => {
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, n) => stored(subject, { status: n % 3 === 0 ? 'completed' : 'running' })),
    );
    await Promise.all(all.map(({ id }) => subject.store.updateRun(id, { status: 'suspended', wakeAt: NOW })));
    const statuses = await Promise.all(all.map(async ({ id }) => (await subject.store.getRun(id))?.status));
    expect(statuses).toEqual(all.map(({ status }) => (status === 'completed' ? 'completed' : 'suspended')));
  });

  it('a patch of a run that is not there still says so', async () => {
    await expect(subject.store.updateRun(freshId(), { status: 'suspended' })).rejects.toThrow(/not found/);
  });
}

function reopening(subject: Subject): void {
  needs(subject, 'database').each(ENDS)(
    'a %s run is pending again when its error is taken away with it',
    async (end) => {
      const run = await stored(subject, { status: end, error: { message: 'no' }, lockedBy: 'gone', lockedUntil: NOW });
      const open = { ...run, status: 'pending', error: undefined, lockedBy: undefined, lockedUntil: undefined };
      expect(await patched(subject, run, { status: 'pending', error: undefined })).toEqual(open);
    },
  );

  needs(subject, 'database').each(UNFINISHED)(
    'a failed run becomes %s under the lease of whoever resumes it',
    async (status) => {
      const { id } = await stored(subject, { status: 'failed' });
      expect(await subject.store.tryLockRun(id, 'me', NOW + 5, NOW)).toBe(true);
      await subject.store.updateRun(id, { status });
      expect(await subject.store.getRun(id)).toMatchObject({ status });
    },
  );

  needs(subject, 'database').each(UNFINISHED)(
    'a run that failed under a lease is not set back to %s under it by an older turn, and is under the next one',
    async (status) => {
      const { id } = await stored(subject, { status: 'running' });
      await subject.store.tryLockRun(id, 'me', NOW + 5, NOW);
      await subject.store.updateRun(id, { status: 'failed', error: { message: 'no' } });
      await subject.store.updateRun(id, { status });
      expect(await subject.store.getRun(id)).toMatchObject({ status: 'failed', lockedBy: 'me' });
      await subject.store.releaseRunLock(id);
      await subject.store.tryLockRun(id, 'me', NOW + 15, NOW + 10);
      await subject.store.updateRun(id, { status });
      expect(await subject.store.getRun(id)).toMatchObject({ status });
    },
  );

  needs(subject, 'database')('a failed run stays when the lease of whoever resumes it is over', async () => {
    const { id } = await stored(subject, { status: 'failed' });
    await subject.store.tryLockRun(id, 'stalled', NOW + 5, NOW);
    await subject.peers[0]!.tryLockRun(id, 'next', NOW + 100, NOW + 5);
    await subject.store.updateRun(id, { status: 'suspended' });
    expect(await subject.store.getRun(id)).toMatchObject({ status: 'failed', lockedBy: 'next' });
  });
}

async function patched({ store }: Subject, run: WorkflowRun, patch: Partial<WorkflowRun>): Promise<WorkflowRun | null> {
  await store.updateRun(run.id, patch);
  return store.getRun(run.id);
}

async function stored({ store }: Subject, fields: Partial<WorkflowRun> = {}): Promise<WorkflowRun> {
  const run = aRun({ namespace: 'default', ...fields });
  await store.createRun(run);
  return (await store.getRun(run.id)) as WorkflowRun;
}
