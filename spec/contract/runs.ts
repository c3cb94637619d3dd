import { aCheckpoint, aFullRun, aRun, freshId, OPTIONAL_RUN_FIELDS } from '../support/fixtures';
import { needs, type Subject } from './subject';

export function runs(subject: Subject): void {
  describe('runs', () => {
    reading(subject);
    deleting(subject);
    creatingTwice(subject);
  });
}

function reading(subject: Subject): void {
  it('gives back every field of a run', async () => {
    const run = aFullRun();
    await subject.store.createRun(run);
    expect(await subject.store.getRun(run.id)).toEqual(run);
  });

  it('gives back what a run lacks as undefined, never as null', async () => {
    const { input, ...run } = aRun();
    await subject.store.createRun(run as typeof run & { input: unknown });
    const found = await subject.store.getRun(run.id);
    for (const field of OPTIONAL_RUN_FIELDS) expect([field, found?.[field]]).toEqual([field, undefined]);
  });

  it('puts a run without a namespace into the default one', async () => {
    const run = aRun();
    await subject.store.createRun(run);
    expect((await subject.store.getRun(run.id))?.namespace).toBe('default');
  });

  it('keeps an empty namespace as it is', async () => {
    const run = aRun({ namespace: '' });
    await subject.store.createRun(run);
    expect((await subject.store.getRun(run.id))?.namespace).toBe('');
  });

  it('never invents an origin', async () => {
    const run = aRun();
    await subject.store.createRun(run);
    expect((await subject.store.getRun(run.id))?.origin).toBeUndefined();
  });

  it('answers null for a run that is not there', async () => {
    expect(await subject.store.getRun(freshId())).toBeNull();
  });

  it('keeps an empty list of tags apart from none', async () => {
    const run = aRun({ tags: [] });
    await subject.store.createRun(run);
    expect((await subject.store.getRun(run.id))?.tags).toEqual([]);
  });

  it('gives a snapshot: changing a result changes nothing stored', async () => {
    const run = aFullRun();
    await subject.store.createRun(run);
    const found = await subject.store.getRun(run.id);
    Object.assign(found!, { status: 'dead', wakeAt: 1 });
    expect(await subject.store.getRun(run.id)).toEqual(run);
  });

  needs(subject, 'json')('keeps nothing of the objects it was given or gave', async () => {
    const run = aRun({ input: { list: [1] } });
    await subject.store.createRun(run);
    (run.input as { list: number[] }).list.push(2);
    const found = await subject.store.getRun(run.id);
    (found!.input as { list: number[] }).list.push(3);
    expect((await subject.store.getRun(run.id))?.input).toEqual({ list: [1] });
  });

  it('does not change the run it is given', async () => {
    const run = aFullRun();
    const before = structuredClone(run);
    await subject.store.createRun(run);
    await subject.store.updateRun(run.id, run);
    expect(run).toEqual(before);
  });
}

function deleting(subject: Subject): void {
  it('deletes a run with its checkpoints, waiters and attributes, and nobody else’s', async () => {
    const [gone, kept] = [aRun({ searchAttributes: { a: 1 } }), aRun({ searchAttributes: { a: 1 } })];
    for (const { id } of [gone, kept]) await occupy(subject, id);
    await subject.store.createRun(gone);
    await subject.store.createRun(kept);
    await subject.store.deleteRun(gone.id);
    expect(await traces(subject, gone.id)).toEqual({ run: false, checkpoints: 0, waiters: 0, attributes: 0 });
    expect(await traces(subject, kept.id)).toEqual({ run: true, checkpoints: 2, waiters: 2, attributes: 1 });
  });

  it('deletes what is left of a run that is already gone', async () => {
    const id = freshId();
    await occupy(subject, id);
    await subject.store.deleteRun(id);
    expect(await traces(subject, id)).toMatchObject({ checkpoints: 0, waiters: 0 });
  });

  it('is silent when there is nothing to delete', async () => {
    await expect(subject.store.deleteRun(freshId())).resolves.toBeUndefined();
  });

  it('leaves buffered signals when it deletes a run', async () => {
    const run = aRun();
    await subject.store.createRun(run);
    await subject.store.bufferSignal(`child:${run.id}`, { ok: true });
    await subject.store.deleteRun(run.id);
    expect(await subject.store.takeBufferedSignal(`child:${run.id}`)).toEqual({ payload: { ok: true } });
  });

  it('lets a deleted id be used again, with nothing of the former run', async () => {
    const run = aRun({ searchAttributes: { a: 1 }, output: 'old' });
    await subject.store.createRun(run);
    await subject.store.deleteRun(run.id);
    await subject.store.createRun(aRun({ id: run.id, searchAttributes: { b: 2 } }));
    expect((await subject.store.getRun(run.id))?.output).toBeUndefined();
    expect(await traces(subject, run.id)).toMatchObject({ attributes: 0 });
  });
}

function creatingTwice(subject: Subject): void {
  const cases: [string, object | undefined, object | undefined][] = [
    ['without attributes', undefined, undefined],
    ['by one with attributes', undefined, { a: 2 }],
    ['by one without attributes', { a: 1 }, undefined],
    ['by one with other attributes', { a: 1 }, { a: 2, b: 3 }],
  ];
  needs(subject, 'createIfAbsent').each(cases)(
    'leaves a run that exists as it is when it is created again %s',
    async (_, before, after) => {
      const run = aFullRun({ status: 'completed', searchAttributes: before as never });
      await subject.store.createRun(run);
      await subject.store.createRun(aRun({ id: run.id, input: 'new', searchAttributes: after as never }));
      expect(await subject.store.getRun(run.id)).toEqual(run);
      const filter = (value: number) => ({ key: 'a', op: 'eq' as const, value });
      const query = { namespace: run.namespace as string };
      expect(await subject.store.listRuns({ ...query, attributes: [filter(2)] })).toEqual([]);
      expect(await subject.store.listRuns({ ...query, attributes: [filter(1)] })).toHaveLength(before ? 1 : 0);
    },
  );
}

async function occupy({ store }: Subject, runId: string): Promise<void> {
  await store.saveCheckpoint(aCheckpoint({ runId, seq: 0 }));
  await store.saveCheckpoint(aCheckpoint({ runId, seq: -1 }));
  await store.putSignalWaiter({ token: `${runId}:one`, runId, seq: 1 });
  await store.putSignalWaiter({ token: `${runId}:two`, runId, seq: 2 });
}

async function traces({ store }: Subject, runId: string) {
  const found = await store.listRuns({ attributes: [{ key: 'a', op: 'eq', value: 1 }] });
  return {
    run: (await store.getRun(runId)) !== null,
    checkpoints: (await store.listCheckpoints(runId)).length,
    waiters: (await store.listSignalWaiters(`${runId}:`)).length,
    attributes: found.filter(({ id }) => id === runId).length,
  };
}
