import type { MikroOrmStateStore } from '../../lib';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { groupNeeds, type Subject } from './subject';

type Write = (store: MikroOrmStateStore, text: string) => Promise<unknown>;

/** Field, characters, bytes, and a write that puts text there. */
const WIDTHS: [field: string, characters: number, bytes: number, write: Write][] = [
  ['run.id', 512, 1024, (store, id) => store.createRun(aRun({ id }))],
  ['run.workflow', 255, 1020, (store, workflow) => store.createRun(aRun({ workflow }))],
  ['run.workflowVersion', 255, 1020, (store, workflowVersion) => store.createRun(aRun({ workflowVersion }))],
  ['run.namespace', 255, 1020, (store, namespace) => store.createRun(aRun({ namespace }))],
  ['run.lockedBy', 255, 1020, (store, lockedBy) => store.createRun(aRun({ lockedBy }))],
  ['run.origin', 255, 1020, (store, origin) => store.createRun(aRun({ origin }))],
  ['run.awaitingDecisionTaskId', 540, 1080, (store, id) => store.createRun(aRun({ awaitingDecisionTaskId: id }))],
  [
    'a key of run.searchAttributes',
    255,
    1020,
    (store, key) => store.createRun(aRun({ searchAttributes: { [key]: 1 } })),
  ],
  ['lease owner', 255, 1020, (store, owner) => store.tryLockRun(freshId(), owner, 2, 1)],
  ['checkpoint.runId', 512, 1024, (store, runId) => store.saveCheckpoint(aCheckpoint({ runId, stepId: 's' }))],
  ['checkpoint.name', 776, 1600, (store, name) => store.saveCheckpoint(aCheckpoint({ name }))],
  ['checkpoint.stepId', 540, 1080, (store, stepId) => store.saveCheckpoint(aCheckpoint({ stepId }))],
  ['checkpoint.workerGroup', 255, 1020, (store, workerGroup) => store.saveCheckpoint(aCheckpoint({ workerGroup }))],
  [
    'checkpoint.parallelGroup',
    255,
    1020,
    (store, group) => store.saveCheckpoint(aCheckpoint({ parallelGroup: group })),
  ],
  ['waiter.token', 768, 1592, (store, token) => store.putSignalWaiter({ token, runId: 'r', seq: 1 })],
  ['waiter.runId', 512, 1024, (store, runId) => store.putSignalWaiter({ token: freshId(), runId, seq: 1 })],
  ['signal.token', 768, 1592, (store, token) => store.bufferSignal(token, 1)],
  ['event.name', 255, 1020, (store, name) => store.bufferEvent({ id: freshId(), name, payload: 1, publishedAt: 1 })],
  ['event.id', 255, 1020, (store, id) => store.bufferEvent({ id, name: 'n', payload: 1, publishedAt: 1 })],
];

export function limits(subject: Subject): void {
  groupNeeds(subject, 'validates')('limits', () => {
    widths(subject);
    wholeRowsAtTheLimit(subject);
    texts(subject);
    numbers(subject);
  });
}

function widths(subject: Subject): void {
  it.each(WIDTHS)('takes %s of %i characters and refuses one more', async (field, characters, _, write) => {
    await write(subject.store, noise(characters, 'ascii'));
    const facts = { length: characters + 1, limit: characters, unit: 'characters', field };
    await refused(write(subject.store, noise(characters + 1, 'ascii')), 'DURABLE_VALUE_TOO_LONG', facts);
  });

  it.each(WIDTHS)('takes %s of wide characters up to its bytes', async (field, characters, bytes, write) => {
    const wide = Math.min(characters, Math.floor(bytes / 4));
    await write(subject.store, noise(wide, 'emoji'));
    if (wide === characters) return;
    const facts = { length: 4 * wide + 4, limit: bytes, unit: 'bytes', field };
    await refused(write(subject.store, noise(wide + 1, 'emoji')), 'DURABLE_VALUE_TOO_LONG', facts);
  });

  it('simply does not find what is longer than any key', async () => {
    const text = 'x'.repeat(5000);
    const { store } = subject;
    expect(await store.getRun(text)).toBeNull();
    expect(await store.getCheckpoint(text, 1)).toBeNull();
    expect(await store.takeSignalWaiter(text)).toBeNull();
    expect(await store.takeBufferedSignal(text)).toBeNull();
    expect(await store.listRuns({ tag: text, workflow: text })).toEqual([]);
  });
}

/** Index entries hold several columns: each at its limit, all in one row. */
function wholeRowsAtTheLimit(subject: Subject): void {
  it.each(['ascii', 'emoji'] as const)('takes rows whose every key is at its limit, in %s', async (kind) => {
    const text = (characters: number, bytes: number) =>
      noise(kind === 'ascii' ? characters : Math.floor(bytes / 4), kind);
    const short = () => text(255, 1020);
    const id = text(512, 1024);
    const fields = {
      workflow: short(),
      workflowVersion: short(),
      namespace: short(),
      origin: short(),
      lockedBy: short(),
    };
    const run = aRun({ id, ...fields, tags: [text(3000, 12_000)], searchAttributes: { [short()]: text(9000, 9000) } });
    await subject.store.createRun(run);
    expect(await subject.store.getRun(id)).toEqual(run);
    const groups = { workerGroup: short(), parallelGroup: short() };
    const checkpoint = aCheckpoint({ runId: id, name: text(776, 1600), stepId: text(540, 1080), ...groups });
    await subject.store.saveCheckpoint(checkpoint);
    expect(await subject.store.getLatestCheckpointByName(id, checkpoint.name)).toEqual(checkpoint);
    const waiter = { token: text(768, 1592), runId: id, seq: 1, parallelGroup: short() };
    await subject.store.putSignalWaiter(waiter);
    expect(await subject.store.takeSignalWaiter(waiter.token)).toEqual(waiter);
  });
}

function texts(subject: Subject): void {
  const unstorable: [string, unknown][] = [
    ['a NUL character', 'a\u0000b'],
    ['a lone surrogate', 'a\ud800b'],
    ['what is no text', 42],
    ['null', null],
    ['an array', ['a']],
  ];
  it.each(unstorable)('refuses %s as a key', async (_, value) => {
    const text = value as string;
    const { store } = subject;
    const fails = (call: Promise<unknown>) => refused(call, 'DURABLE_INVALID_TEXT', {});
    await fails(store.createRun(aRun({ id: text })));
    await fails(store.createRun(aRun({ workflow: text })));
    await fails(store.getRun(text));
    await fails(store.updateRun(text, {}));
    await fails(store.deleteRun(text));
    await fails(store.saveCheckpoint(aCheckpoint({ name: text })));
    await fails(store.getLatestCheckpointByName('r', text));
    await fails(store.listCheckpointsByNamePrefix('r', [text]));
    await fails(store.tryLockRun('r', text, 2, 1));
    await fails(store.putSignalWaiter({ token: text, runId: 'r', seq: 1 }));
    await fails(store.takeSignalWaiter(text));
    await fails(store.listSignalWaiters(text));
    await fails(store.bufferSignal(text, 1));
    await fails(store.takeBufferedSignal(text));
    await fails(store.bufferEvent({ id: text, name: 'n', payload: 1, publishedAt: 1 }));
    await fails(store.bufferEvent({ id: 'e', name: text, payload: 1, publishedAt: 1 }));
    await fails(store.listBufferedEvents(text, 1));
    await fails(store.removeBufferedEvent(text));
    await fails(store.createRun(aRun({ tags: [text] })));
  });

  it('refuses tags that are no list and attributes that are no object', async () => {
    await refused(subject.store.createRun(aRun({ tags: 'red' as never })), 'DURABLE_INVALID_TEXT', {
      field: 'run.tags',
    });
    const attributes = aRun({ searchAttributes: [1] as never });
    await refused(subject.store.createRun(attributes), 'DURABLE_INVALID_PAYLOAD', { field: 'run.searchAttributes' });
  });
}

function numbers(subject: Subject): void {
  it.each([1.5, 2 ** 31, -(2 ** 31) - 1, Number.NaN, Number.POSITIVE_INFINITY, '1', null])(
    'refuses %p where a whole number is needed',
    async (value) => {
      const number = value as number;
      const { store } = subject;
      const fails = (call: Promise<unknown>) => refused(call, 'DURABLE_INVALID_NUMBER', {});
      await fails(store.saveCheckpoint(aCheckpoint({ seq: number })));
      await fails(store.saveCheckpoint(aCheckpoint({ attempts: number })));
      await fails(store.getCheckpoint('r', number));
      await fails(store.putSignalWaiter({ token: 't', runId: 'r', seq: number }));
      await fails(store.removeSignalWaiter({ token: 't', runId: 'r', seq: number }));
    },
  );

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1'])('refuses %p as a limit', async (value) => {
    const limit = value as number;
    const fails = (call: Promise<unknown>) => refused(call, 'DURABLE_INVALID_QUERY', {});
    await fails(subject.store.listPendingRuns(limit));
    await fails(subject.store.listBufferedEvents('n', limit));
    await fails(subject.store.listRuns({ limit }));
    await fails(subject.store.listRuns({ offset: limit }));
  });

  it('keeps the largest and smallest whole numbers', async () => {
    const run = aRun({ priority: -2_147_483_647, recoveryAttempts: 2_147_483_647 });
    await subject.store.createRun(run);
    expect(await subject.store.getRun(run.id)).toMatchObject({
      priority: -2_147_483_647,
      recoveryAttempts: 2_147_483_647,
    });
  });
}

async function refused(call: Promise<unknown>, code: string, facts: object): Promise<void> {
  await expect(call).rejects.toMatchObject({ name: 'DurableInputError', code, ...facts });
}

let state = 1;

/** Text that does not repeat: a database that compresses index entries must not get away with it. */
function noise(characters: number, kind: 'ascii' | 'emoji'): string {
  return Array.from({ length: characters }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return kind === 'ascii' ? String.fromCharCode(97 + (state % 26)) : String.fromCodePoint(0x1f300 + (state % 700));
  }).join('');
}
