import type { WorkflowRun } from '../../lib';
import { aFullRun, aRun, freshId, OPTIONAL_RUN_FIELDS } from '../support/fixtures';
import { needs, type Subject } from './subject';

export function patches(subject: Subject): void {
  describe('patches', () => {
    presence(subject);
    missingRuns(subject);
    rules(subject);
  });
}

function presence(subject: Subject): void {
  it('changes the keys of a patch and nothing else', async () => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, { status: 'failed', output: [1], error: { message: 'no' } });
    const expected = { ...run, status: 'failed', output: [1], error: { message: 'no' } };
    expect(await subject.store.getRun(run.id)).toEqual(expected);
  });

  it.each(OPTIONAL_RUN_FIELDS)('clears %s when the patch holds it as undefined', async (field) => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, { [field]: undefined });
    expect(await subject.store.getRun(run.id)).toEqual({ ...run, [field]: undefined });
  });

  it('sets every field but the id', async () => {
    const run = await stored(subject);
    const later = new Date('2027-01-02T03:04:05.006Z');
    const { id: _, ...patch } = aFullRun({
      workflow: 'other',
      workflowVersion: '2',
      createdAt: later,
      updatedAt: later,
    });
    await subject.store.updateRun(run.id, patch);
    expect(await subject.store.getRun(run.id)).toEqual({ ...patch, id: run.id });
  });

  it('takes an empty patch for nothing to do', async () => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, {});
    expect(await subject.store.getRun(run.id)).toEqual(run);
  });

  it('accepts a patch that changes no value', async () => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, { status: run.status, wakeAt: run.wakeAt, updatedAt: run.updatedAt });
    await subject.store.updateRun(run.id, { searchAttributes: run.searchAttributes });
    expect(await subject.store.getRun(run.id)).toEqual(run);
  });

  it('leaves updatedAt to the caller', async () => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, { status: 'running' });
    expect((await subject.store.getRun(run.id))?.updatedAt).toEqual(run.updatedAt);
  });

  it('keeps JSON null apart from a cleared field', async () => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, { output: null, input: undefined });
    const found = await subject.store.getRun(run.id);
    expect([found?.output, found?.input]).toEqual([null, undefined]);
  });
}

function missingRuns(subject: Subject): void {
  it.each<[string, Partial<WorkflowRun>]>([
    ['a patch', { status: 'running' }],
    ['an empty patch', {}],
    ['a patch of attributes', { searchAttributes: { a: 1 } }],
    ['a payload that speaks of returning', { output: 'delete … returning 1' }],
  ])('says that a run is missing, for %s, and creates none', async (_, patch) => {
    const id = freshId();
    await expect(subject.store.updateRun(id, patch)).rejects.toThrow(`run ${id} not found`);
    expect(await subject.store.getRun(id)).toBeNull();
  });

  needs(subject, 'validates')('names the missing run in the error', async () => {
    const runId = freshId();
    const facts = { name: 'DurableRunNotFoundError', code: 'DURABLE_RUN_NOT_FOUND', runId };
    await expect(subject.store.updateRun(runId, { status: 'running' })).rejects.toMatchObject(facts);
  });
}

function rules(subject: Subject): void {
  const ruled = needs(subject, 'patchRules');

  ruled.each(['createdAt', 'updatedAt', 'workflow', 'workflowVersion', 'status'] as const)(
    'ignores an undefined %s',
    async (field) => {
      const run = await stored(subject);
      await subject.store.updateRun(run.id, { [field]: undefined });
      expect(await subject.store.getRun(run.id)).toEqual(run);
    },
  );

  ruled('puts a run back into the default namespace when the patch holds it as undefined', async () => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, { namespace: undefined });
    expect(await subject.store.getRun(run.id)).toEqual({ ...run, namespace: 'default' });
  });

  ruled('ignores an id and keys it does not know', async () => {
    const run = await stored(subject);
    const patch = { id: freshId(), status: 'running', nonsense: 1, constructor: 2 } as unknown as Partial<WorkflowRun>;
    await subject.store.updateRun(run.id, patch);
    expect(await subject.store.getRun(run.id)).toEqual({ ...run, status: 'running' });
    expect(await subject.store.getRun(patch.id as string)).toBeNull();
  });

  ruled('takes inherited keys for absent', async () => {
    const run = await stored(subject);
    await subject.store.updateRun(run.id, Object.create({ status: 'dead' }) as Partial<WorkflowRun>);
    expect(await subject.store.getRun(run.id)).toEqual(run);
  });

  it('changes one run only', async () => {
    const [run, other] = [await stored(subject), await stored(subject, aRun({ namespace: 'default' }))];
    await subject.store.updateRun(run.id, { status: 'dead' });
    expect(await subject.store.getRun(other.id)).toEqual(other);
  });
}

async function stored({ store }: Subject, run = aFullRun()): Promise<WorkflowRun> {
  await store.createRun(run);
  return run;
}
