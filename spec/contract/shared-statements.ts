import type { MikroOrmStateStore, StepCheckpoint, WorkflowRun } from '../../lib';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { groupNeeds, type Subject } from './subject';

/** Calls that are made in one tick share what they can; what each is told must not show it. */
export function sharedStatements(subject: Subject): void {
  groupNeeds(subject, 'database')('calls of one tick', () => {
    it('patch many runs, and the one that does not exist fails alone', async () => {
      const runs = await stored(subject, 8);
      const ids = [...runs.map(({ id }) => id), freshId('none')];
      const patches = await Promise.allSettled(ids.map((id, n) => subject.store.updateRun(id, { output: n })));
      expect(patches.map(({ status }) => status)).toEqual([...runs.map(() => 'fulfilled'), 'rejected']);
      expect(patches.at(-1)).toMatchObject({ reason: { code: 'DURABLE_RUN_NOT_FOUND', runId: ids.at(-1) } });
      for (const [n, { id }] of runs.entries()) expect((await subject.store.getRun(id))?.output).toBe(n);
    });

    it('patch many runs, each in its own way and every kind of column', async () => {
      const runs = await stored(subject, 8);
      const patchOf = (n: number): Partial<WorkflowRun> => ({
        status: n % 2 === 0 ? 'suspended' : 'running',
        output: n === 3 ? null : { n, text: `"it's" \\ \u0000 ${'x'.repeat(n)}` },
        error: n === 4 ? undefined : { message: `e${n}` },
        wakeAt: n === 5 ? undefined : 1_772_359_200_123 + n,
        tags: n === 6 ? undefined : [`t${n}`],
        recoveryAttempts: n,
        priority: n === 7 ? undefined : 3 - n,
        updatedAt: new Date(1_772_359_200_456 + n),
      });
      await Promise.all(runs.map(({ id }, n) => subject.store.updateRun(id, patchOf(n))));
      for (const [n, run] of runs.entries()) {
        const expected = Object.entries({ ...run, ...patchOf(n) }).filter(([, value]) => value !== undefined);
        expect(await subject.store.getRun(run.id)).toEqual({ namespace: 'default', ...Object.fromEntries(expected) });
      }
    });

    it('patch one run in the order they were made, whatever columns they name', async () => {
      const runs = await stored(subject, 5);
      const patches = runs.flatMap(({ id }) => [
        subject.store.updateRun(id, { output: 1 }),
        subject.store.updateRun(id, { output: 2, priority: 2 }),
        subject.store.updateRun(id, { output: 3 }),
        subject.store.updateRun(id, { searchAttributes: { n: 4 }, output: 4 }),
        subject.store.updateRun(id, {}),
        subject.store.updateRun(id, { output: 5, wakeAt: 5 }),
      ]);
      await Promise.all(patches);
      for (const { id } of runs) {
        const expected = { output: 5, priority: 2, wakeAt: 5, searchAttributes: { n: 4 } };
        expect(await subject.store.getRun(id)).toMatchObject(expected);
      }
    });

    it('patch one run in the order they were made', async () => {
      const [run] = (await stored(subject, 1)) as [WorkflowRun];
      await Promise.all([1, 2, 3, 4].map((output) => subject.store.updateRun(run.id, { output, priority: output })));
      expect(await subject.store.getRun(run.id)).toMatchObject({ output: 4, priority: 4 });
    });

    it('refuse a patch before it is made, without its neighbours', async () => {
      const [first, second] = (await stored(subject, 2)) as [WorkflowRun, WorkflowRun];
      const [good, bad] = await Promise.allSettled([
        subject.store.updateRun(first.id, { output: 'kept' }),
        subject.store.updateRun(second.id, { priority: 0.5 }),
      ]);
      expect([good.status, bad.status]).toEqual(['fulfilled', 'rejected']);
      expect((await subject.store.getRun(first.id))?.output).toBe('kept');
    });

    it('lease the runs that are free, and only those', async () => {
      const free = await stored(subject, 4);
      const held = await stored(subject, 4, { lockedBy: 'other', lockedUntil: 500 });
      const ended = await stored(subject, 2, { status: 'completed' });
      const runs = [...free, ...held, ...ended];
      const won = await Promise.all(runs.map(({ id }) => subject.store.tryLockRun(id, 'me', 900, 100)));
      expect(won).toEqual(runs.map((run) => free.includes(run)));
      const renewed = await Promise.all(runs.map(({ id }) => subject.store.renewRunLock(id, 'me', 950)));
      expect(renewed).toEqual(won);
    });

    it('lease each run to its own owner until its own end, and renew each by its own', async () => {
      const runs = await stored(subject, 6);
      const lease = async () => {
        const found = await Promise.all(runs.map(({ id }) => subject.store.getRun(id)));
        return found.map((run) => [run?.lockedBy, run?.lockedUntil]);
      };
      const won = await Promise.all(runs.map(({ id }, n) => subject.store.tryLockRun(id, `owner-${n}`, 1000 + n, 500)));
      expect(won).toEqual(runs.map(() => true));
      expect(await lease()).toEqual(runs.map((_, n) => [`owner-${n}`, 1000 + n]));
      const renewed = await Promise.all(
        runs.map(({ id }, n) => subject.store.renewRunLock(id, n === 5 ? 'somebody' : `owner-${n}`, 1010 - 5 * n)),
      );
      expect(renewed).toEqual([true, true, true, true, true, false]);
      expect(await lease()).toEqual([1010, 1005, 1002, 1003, 1004, 1005].map((until, n) => [`owner-${n}`, until]));
    });

    it('lease runs only by what each caller has seen of them', async () => {
      const runs = await stored(subject, 6, { status: 'running' });
      await subject.store.listIncompleteRuns();
      const [rested, ...active] = runs as [WorkflowRun, ...WorkflowRun[]];
      await subject.peers[0]?.updateRun(rested.id, { status: 'suspended' });
      const ids = [...active, rested, ...(await stored(subject, 2, { status: 'suspended' }))].map(({ id }) => id);
      const won = await Promise.all(ids.map((id) => subject.store.tryLockRun(id, 'me', 1000, 500)));
      expect(won).toEqual([true, true, true, true, true, false, true, true]);
    });

    it('lease no run of another namespace', async () => {
      const runs = [...(await stored(subject, 5, { namespace: 'mine' })), ...(await stored(subject, 2))];
      const mine = (subject.store as MikroOrmStateStore).withScope({ namespace: 'mine' });
      const won = await Promise.all(runs.map(({ id }) => mine.tryLockRun(id, 'me', 1000, 500)));
      expect(won).toEqual([true, true, true, true, true, false, false]);
      await Promise.all(runs.slice(5).map(({ id }) => subject.store.tryLockRun(id, 'me', 1000, 500)));
      const renewed = await Promise.all(runs.map(({ id }) => mine.renewRunLock(id, 'me', 2000)));
      expect(renewed).toEqual(won);
    });

    it('answer equal questions of one tick with objects of each caller’s own', async () => {
      const [run] = (await stored(subject, 1, { status: 'pending', workflow: freshId('w'), input: { n: 1 } })) as [
        WorkflowRun,
      ];
      const query = { workflow: run.workflow };
      const answers = await Promise.all([1, 2, 3].map(() => subject.store.listRuns(query)));
      expect(answers.map((runs) => runs.map(({ id }) => id))).toEqual([[run.id], [run.id], [run.id]]);
      Object.assign(answers[0]?.[0]?.input as object, { n: 2 });
      expect(answers[1]?.[0]?.input).toEqual({ n: 1 });
      const waiter = { token: freshId('event:'), runId: run.id, seq: 1 };
      await subject.store.putSignalWaiter(waiter);
      const lists = await Promise.all([1, 2].map(() => subject.store.listSignalWaiters(waiter.token)));
      Object.assign(lists[0]?.[0] as object, { seq: 9 });
      expect(lists[1]).toEqual([waiter]);
    });

    it('answer different questions each for itself', async () => {
      const [one, two] = [freshId('w'), freshId('w')];
      await stored(subject, 2, { workflow: one });
      await stored(subject, 1, { workflow: two });
      const counts = await Promise.all(
        [one, two, one, 'none'].map(async (workflow) => (await subject.store.listRuns({ workflow })).length),
      );
      expect(counts).toEqual([2, 1, 2, 0]);
    });

    it('list the checkpoints of each run to its caller, objects of their own', async () => {
      const [one, two] = [freshId(), freshId()];
      const places = [-1, 0, 1].flatMap((seq) => [one, two].map((runId) => ({ runId, seq })));
      await Promise.all(places.map((place) => subject.store.saveCheckpoint(aCheckpoint({ ...place, output: {} }))));
      const lists = await Promise.all([one, two, one, freshId('none')].map((id) => subject.store.listCheckpoints(id)));
      const seen = lists.map((list) => list.map(({ runId, seq }) => ({ runId, seq })));
      const of = (runId: string) => places.filter((place) => place.runId === runId);
      expect(seen).toEqual([of(one), of(two), of(one), []]);
      Object.assign(lists[0]?.[0] as StepCheckpoint, { name: 'changed' });
      expect(lists[2]?.[0]?.name).toBe('charge');
    });

    it('take the oldest signal of many tokens, another for each caller, and null where there is none', async () => {
      const [one, two] = [freshId('t'), freshId('t')];
      for (const [token, payload] of [
        [one, 'first'],
        [two, null],
        [one, 'second'],
      ] as const) {
        await subject.store.bufferSignal(token, payload);
      }
      const take = (token: string) => subject.store.takeBufferedSignal(token);
      const [a, none, b, c, d] = await Promise.all([one, freshId('none'), one, two, one].map(take));
      expect([a, b, d].map((signal) => signal?.payload).sort()).toEqual(['first', 'second', undefined]);
      expect([c, none]).toEqual([{ payload: null }, null]);
    });
  });
}

async function stored({ store }: Subject, count: number, fields: Partial<WorkflowRun> = {}): Promise<WorkflowRun[]> {
  const runs = Array.from({ length: count }, () => aRun(fields));
  await Promise.all(runs.map((run) => store.createRun(run)));
  return runs;
}
