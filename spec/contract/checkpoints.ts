import type { StepCheckpoint } from '../../lib';
import { aCheckpoint, aFullCheckpoint, freshId } from '../support/fixtures';
import type { Subject } from './subject';

const OPTIONAL = ['input', 'output', 'error', 'events', 'workerGroup', 'wakeAt', 'parallelGroup'] as const;

export function checkpoints(subject: Subject): void {
  describe('checkpoints', () => {
    saving(subject);
    listing(subject);
    byName(subject);
    byPrefix(subject);
  });
}

function saving(subject: Subject): void {
  it('gives back every field', async () => {
    const checkpoint = aFullCheckpoint();
    await subject.store.saveCheckpoint(checkpoint);
    expect(await subject.store.getCheckpoint(checkpoint.runId, checkpoint.seq)).toEqual(checkpoint);
  });

  it('gives back what a checkpoint lacks as undefined, never as null', async () => {
    const checkpoint = aCheckpoint();
    await subject.store.saveCheckpoint(checkpoint);
    const found = await subject.store.getCheckpoint(checkpoint.runId, 0);
    for (const field of OPTIONAL) expect([field, found?.[field]]).toEqual([field, undefined]);
  });

  it.each(OPTIONAL)('clears %s when a checkpoint is saved again without it', async (field) => {
    const { [field]: _, ...rest } = aFullCheckpoint();
    await subject.store.saveCheckpoint({ ...rest, [field]: aFullCheckpoint()[field] } as StepCheckpoint);
    await subject.store.saveCheckpoint(rest as StepCheckpoint);
    expect(await subject.store.getCheckpoint(rest.runId, rest.seq)).toEqual(rest);
  });

  it('replaces every field when a checkpoint is saved again', async () => {
    const before = aCheckpoint({ status: 'running' });
    const after = aFullCheckpoint({ runId: before.runId, stepId: 'other', name: 'refund', attempts: 7 });
    await subject.store.saveCheckpoint(before);
    await subject.store.saveCheckpoint(after);
    expect(await subject.store.listCheckpoints(before.runId)).toEqual([after]);
  });

  it('accepts the same checkpoint twice', async () => {
    const checkpoint = aFullCheckpoint();
    await subject.store.saveCheckpoint(checkpoint);
    await subject.store.saveCheckpoint(checkpoint);
    expect(await subject.store.listCheckpoints(checkpoint.runId)).toEqual([checkpoint]);
  });

  it('needs no run, and makes none', async () => {
    const checkpoint = aCheckpoint();
    await subject.store.saveCheckpoint(checkpoint);
    expect(await subject.store.getRun(checkpoint.runId)).toBeNull();
    expect(await subject.store.getCheckpoint(checkpoint.runId, 0)).toEqual(checkpoint);
  });

  it('answers null for a step that is not there', async () => {
    const { runId } = await saved(subject, aCheckpoint({ seq: 1 }));
    expect(await subject.store.getCheckpoint(runId, 0)).toBeNull();
    expect(await subject.store.getCheckpoint(runId, -1)).toBeNull();
    expect(await subject.store.getCheckpoint(freshId(), 1)).toBeNull();
  });
}

function listing(subject: Subject): void {
  it('lists a run’s checkpoints by seq, compensations first', async () => {
    const runId = freshId();
    for (const seq of [2, 10, -1, 0, -3, 1]) await saved(subject, aCheckpoint({ runId, seq }));
    await saved(subject, aCheckpoint());
    const seqs = (await subject.store.listCheckpoints(runId)).map(({ seq }) => seq);
    expect(seqs).toEqual([-3, -1, 0, 1, 2, 10]);
  });

  it('keeps steps and compensations of one distance apart', async () => {
    const runId = freshId();
    await saved(subject, aCheckpoint({ runId, seq: 1, name: 'charge' }));
    await saved(subject, aCheckpoint({ runId, seq: -1, name: 'compensate:charge' }));
    expect((await subject.store.getCheckpoint(runId, -1))?.name).toBe('compensate:charge');
    expect((await subject.store.getCheckpoint(runId, 1))?.name).toBe('charge');
  });

  it('lists nothing for a run without checkpoints', async () => {
    expect(await subject.store.listCheckpoints(freshId())).toEqual([]);
  });
}

function byName(subject: Subject): void {
  it('finds the checkpoint of a name with the highest seq', async () => {
    const runId = freshId();
    for (const seq of [3, 9, -5, 7]) await saved(subject, aCheckpoint({ runId, seq, name: 'event:x' }));
    await saved(subject, aCheckpoint({ runId, seq: 20, name: 'event:X' }));
    await saved(subject, aCheckpoint({ runId, seq: 21, name: 'event:x ' }));
    await saved(subject, aCheckpoint({ seq: 22, name: 'event:x' }));
    expect((await subject.store.getLatestCheckpointByName(runId, 'event:x'))?.seq).toBe(9);
  });

  it('answers undefined for a name that is not there', async () => {
    const { runId } = await saved(subject, aCheckpoint());
    expect(await subject.store.getLatestCheckpointByName(runId, 'charg')).toBeUndefined();
    expect(await subject.store.getLatestCheckpointByName(runId, '%')).toBeUndefined();
  });
}

function byPrefix(subject: Subject): void {
  const names = [
    'signal:a',
    'Signal:b',
    'signal:child:1',
    'spawn:1',
    'sp%wn',
    'sp_wn',
    'spawn',
    'sp\\wn',
    'é',
    'ébène',
    '😀x',
  ];
  const cases: [string[], string[]][] = [
    [['signal:'], ['signal:a', 'signal:child:1']],
    [['Signal:'], ['Signal:b']],
    [['sp_'], ['sp_wn']],
    [['sp%'], ['sp%wn']],
    [['%'], []],
    [['sp\\'], ['sp\\wn']],
    [['spawn'], ['spawn:1', 'spawn']],
    [['e'], []],
    [['é'], ['é', 'ébène']],
    [['😀'], ['😀x']],
    [
      ['signal:', 'spawn:'],
      ['signal:a', 'signal:child:1', 'spawn:1'],
    ],
    [
      ['spawn', 'spawn:', 'spawn:1'],
      ['spawn:1', 'spawn'],
    ],
    [[''], names],
    [['signal:', ''], names],
  ];

  it.each(cases)('finds by the prefixes %j exactly %j, in order and once', async (prefixes, expected) => {
    const runId = freshId();
    for (const [seq, name] of names.entries()) await saved(subject, aCheckpoint({ runId, seq, name }));
    await saved(subject, aCheckpoint({ name: 'signal:a' }));
    const found = await subject.store.listCheckpointsByNamePrefix(runId, prefixes);
    expect(found.map(({ name }) => name)).toEqual(expected);
  });

  it('finds nothing for no prefixes', async () => {
    const { runId } = await saved(subject, aCheckpoint());
    expect(await subject.store.listCheckpointsByNamePrefix(runId, [])).toEqual([]);
  });

  it('lists by seq across prefixes, compensations first', async () => {
    const runId = freshId();
    for (const [seq, name] of [
      [4, 'b:1'],
      [-2, 'a:1'],
      [1, 'b:2'],
      [3, 'a:2'],
    ] as const) {
      await saved(subject, aCheckpoint({ runId, seq, name }));
    }
    const found = await subject.store.listCheckpointsByNamePrefix(runId, ['b:', 'a:']);
    expect(found.map(({ seq }) => seq)).toEqual([-2, 1, 3, 4]);
  });
}

async function saved({ store }: Subject, checkpoint: StepCheckpoint): Promise<StepCheckpoint> {
  await store.saveCheckpoint(checkpoint);
  return checkpoint;
}
