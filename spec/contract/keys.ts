import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import type { Subject } from './subject';

/** Pairs that some collation or pattern takes for one. */
const LOOKALIKES: [string, string, string][] = [
  ['case', 'order', 'Order'],
  ['accents', 'resume', 'résumé'],
  ['composed and decomposed accents', '\u00e9', 'e\u0301'],
  ['a trailing space', 'a', 'a '],
  ['a leading space', 'a', ' a'],
  ['a trailing tab', 'a', 'a\t'],
  ['letters that expand', 'straße', 'strasse'],
  ['a Turkish i', 'ı', 'i'],
  ['widths', 'Ａ', 'A'],
  ['emoji', '😀', '😁'],
  ['an invisible character', 'ab', 'a\u200bb'],
  ['an underscore', 'a_b', 'aXb'],
  ['a percent sign', 'a%', 'abc'],
  ['a backslash', 'a\\', 'a\\\\'],
  ['numbers', '1', '1.0'],
];

const HOSTILE: string[] = [
  "it's",
  '"quoted"',
  '`back`',
  'back\\slash',
  "\\'",
  "'; drop table host_orders; --",
  '100%',
  'a_b',
  'what?',
  '??',
  ':name',
  '$1',
  'semi;colon',
  ' returning ',
  'x returning id',
  'null',
  'line\nbreak\ttab',
  '\\n',
  '__proto__',
  '/* comment */',
  'Zoë 🏳️‍🌈 數',
  '\u007f\u0080\ufeff\uffff',
];

export function keys(subject: Subject): void {
  describe('keys', () => {
    it.each(LOOKALIKES)('tells keys apart that differ in %s', async (_, one, other) => {
      const prefix = freshId('k:');
      const [a, b] = [prefix + one, prefix + other];
      await tellsRunsApart(subject, a, b);
      await tellsTokensApart(subject, a, b);
      await tellsNamesApart(subject, a, b);
    });

    it.each(HOSTILE.map((text) => [JSON.stringify(text), text]))('takes %s in every key', async (_, text) => {
      const key = freshId('k') + text;
      await runLife(subject, key);
      await signalLife(subject, key);
      await queryLife(subject, key);
    });
  });
}

async function tellsRunsApart({ store }: Subject, a: string, b: string): Promise<void> {
  await store.createRun(aRun({ id: a, input: 'a' }));
  expect(await store.getRun(b)).toBeNull();
  expect(await store.tryLockRun(b, 'me', 10, 1)).toBe(false);
  await store.createRun(aRun({ id: b, input: 'b' }));
  await store.deleteRun(b);
  expect((await store.getRun(a))?.input).toBe('a');
  expect(await store.tryLockRun(a, a, 10, 1)).toBe(true);
  expect(await store.renewRunLock(a, b, 20)).toBe(false);
}

async function tellsTokensApart({ store }: Subject, a: string, b: string): Promise<void> {
  await store.putSignalWaiter({ token: a, runId: 'r', seq: 1 });
  await store.bufferSignal(a, 1);
  await store.bufferEvent({ id: a, name: a, payload: 1, publishedAt: 1 });
  expect(await store.takeSignalWaiter(b)).toBeNull();
  expect(await store.takeBufferedSignal(b)).toBeNull();
  expect(await store.listBufferedEvents(b, 9)).toEqual([]);
  expect(await store.removeBufferedEvent(b)).toBe(false);
  await store.removeSignalWaiter({ token: b, runId: 'r', seq: 1 });
  await store.removeSignalWaiter({ token: a, runId: 'R', seq: 1 });
  expect(await store.takeSignalWaiter(a)).toEqual({ token: a, runId: 'r', seq: 1 });
}

async function tellsNamesApart({ store }: Subject, a: string, b: string): Promise<void> {
  const runId = freshId();
  await store.saveCheckpoint(aCheckpoint({ runId, name: a }));
  expect(await store.getLatestCheckpointByName(runId, b)).toBeUndefined();
  await store.createRun(aRun({ id: runId, workflow: a, namespace: a, tags: [a], searchAttributes: { [a]: a } }));
  const found = (query: object) => store.listRuns(query).then((runs) => runs.map(({ id }) => id));
  expect(await found({ workflow: a, namespace: a, tag: a })).toEqual([runId]);
  for (const query of [{ workflow: b }, { namespace: b }, { tag: b }]) expect(await found(query)).toEqual([]);
  expect(await found({ attributes: [{ key: a, op: 'eq', value: b }] })).toEqual([]);
  expect(await found({ attributes: [{ key: b, op: 'eq', value: a }] })).toEqual([]);
}

async function runLife({ store }: Subject, key: string): Promise<void> {
  const fields = { workflow: key, workflowVersion: key, namespace: key, origin: key, awaitingDecisionTaskId: key };
  const run = aRun({ id: key, ...fields });
  await store.createRun(run);
  await store.updateRun(key, { status: 'running' });
  expect(await store.tryLockRun(key, key, 100, 1)).toBe(true);
  expect(await store.tryLockRun(key, key, 100, 1)).toBe(false);
  expect(await store.renewRunLock(key, key, 200)).toBe(true);
  expect(await store.getRun(key)).toEqual({ ...run, status: 'running', lockedBy: key, lockedUntil: 200 });
  await store.releaseRunLock(key);
  expect((await store.getRun(key))?.lockedBy).toBeUndefined();
  const checkpoint = aCheckpoint({ runId: key, name: key, workerGroup: key, parallelGroup: key });
  await store.saveCheckpoint(checkpoint);
  expect(await store.getLatestCheckpointByName(key, key)).toEqual(checkpoint);
  expect(await store.listCheckpointsByNamePrefix(key, [key])).toEqual([checkpoint]);
}

async function signalLife({ store }: Subject, key: string): Promise<void> {
  const waiter = { token: key, runId: key, seq: 1, parallelGroup: key };
  await store.putSignalWaiter(waiter);
  await store.putSignalWaiter(waiter);
  expect(await store.listSignalWaiters(key)).toEqual([waiter]);
  expect(await store.takeSignalWaiter(key)).toEqual(waiter);
  await store.putSignalWaiter(waiter);
  await store.removeSignalWaiter(waiter);
  expect(await store.takeSignalWaiter(key)).toBeNull();
  await store.bufferSignal(key, key);
  expect(await store.takeBufferedSignal(key)).toEqual({ payload: key });
  await store.bufferEvent({ id: key, name: key, payload: key, publishedAt: 5 });
  expect(await store.listBufferedEvents(key, 1)).toEqual([{ id: key, payload: key, publishedAt: 5 }]);
  expect(await store.removeBufferedEvent(key)).toBe(true);
}

async function queryLife({ store }: Subject, key: string): Promise<void> {
  await store.updateRun(key, { tags: [key], searchAttributes: { [key]: key } });
  const query = { workflow: key, namespace: key, tag: key, attributes: [{ key, op: 'eq' as const, value: key }] };
  expect((await store.listRuns(query)).map(({ id }) => id)).toEqual([key]);
  expect((await store.listIncompleteRuns(key)).map(({ id }) => id)).toEqual([key]);
  await store.deleteRun(key);
  expect([await store.getRun(key), await store.listCheckpoints(key)]).toEqual([null, []]);
}
