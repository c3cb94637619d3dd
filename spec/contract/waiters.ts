import type { SignalWaiter } from '../../lib';
import { freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

export function waiters(subject: Subject): void {
  describe('signal waiters', () => {
    putting(subject);
    removing(subject);
    listing(subject);
  });
}

function putting(subject: Subject): void {
  it('gives a waiter to who takes it, once', async () => {
    const waiter = await put(subject, { parallelGroup: 'all:1' });
    expect(await subject.store.takeSignalWaiter(waiter.token)).toEqual(waiter);
    expect(await subject.store.takeSignalWaiter(waiter.token)).toBeNull();
  });

  it('takes the waiter of that token only', async () => {
    const [one, other] = [await put(subject), await put(subject)];
    await subject.store.takeSignalWaiter(one.token);
    expect(await subject.store.takeSignalWaiter(other.token)).toEqual(other);
  });

  it('lets the last writer own a token, all of it', async () => {
    const { token } = await put(subject, { parallelGroup: 'all:1' });
    const last = await put(subject, { token, seq: -4 });
    const found = await subject.store.takeSignalWaiter(token);
    expect(found).toEqual(last);
    expect(found?.parallelGroup).toBeUndefined();
    expect(await subject.store.takeSignalWaiter(token)).toBeNull();
  });

  it('accepts the same waiter again, as a replay puts it', async () => {
    const waiter = await put(subject);
    await subject.store.putSignalWaiter(waiter);
    expect(await subject.store.listSignalWaiters(waiter.token)).toEqual([waiter]);
  });

  it('needs no run', async () => {
    const waiter = await put(subject);
    expect(await subject.store.getRun(waiter.runId)).toBeNull();
    expect(await subject.store.takeSignalWaiter(waiter.token)).toEqual(waiter);
  });

  it('answers null for a token nobody waits on', async () => {
    expect(await subject.store.takeSignalWaiter(freshId())).toBeNull();
  });
}

function removing(subject: Subject): void {
  const others: [string, Partial<SignalWaiter>][] = [
    ['run', { runId: 'another' }],
    ['step', { seq: 99 }],
    ['token', { token: 'another' }],
  ];

  it.each(others)('removes no waiter of another %s', async (_, difference) => {
    const waiter = await put(subject);
    await expect(subject.store.removeSignalWaiter({ ...waiter, ...difference })).resolves.toBeUndefined();
    expect(await subject.store.takeSignalWaiter(waiter.token)).toEqual(waiter);
  });

  it('removes its waiter, whatever group it names', async () => {
    const waiter = await put(subject, { parallelGroup: 'all:1' });
    await subject.store.removeSignalWaiter({ ...waiter, parallelGroup: 'all:2' });
    expect(await subject.store.takeSignalWaiter(waiter.token)).toBeNull();
  });

  it('is silent when there is nothing to remove', async () => {
    const waiter = { token: freshId(), runId: 'r', seq: 1 };
    await expect(subject.store.removeSignalWaiter(waiter)).resolves.toBeUndefined();
  });
}

function listing(subject: Subject): void {
  const suffixes = ['event:ywjj:1', 'event:YWJj:1', 'event:y_jj:1', 'event:y%j', 'child:1', 'é', 'e', '\u{10ffff}x'];
  const cases: [string, string[]][] = [
    ['event:ywjj:', ['event:ywjj:1']],
    ['event:y_', ['event:y_jj:1']],
    ['event:y%', ['event:y%j']],
    ['event:', ['event:YWJj:1', 'event:y%j', 'event:y_jj:1', 'event:ywjj:1']],
    ['Child:', []],
    ['e', ['e', 'event:YWJj:1', 'event:y%j', 'event:y_jj:1', 'event:ywjj:1']],
    ['é', ['é']],
    ['\u{10ffff}', ['\u{10ffff}x']],
    ['\\', []],
  ];

  it.each(cases)('takes the prefix %j literally', async (prefix, expected) => {
    const base = freshId('p:');
    for (const suffix of suffixes) await put(subject, { token: base + suffix, runId: 'r', seq: 1 });
    const found = await subject.store.listSignalWaiters(base + prefix);
    expect(found.map(({ token }) => token.slice(base.length)).sort()).toEqual(expected);
  });

  it('lists every waiter for an empty prefix', async () => {
    const put1 = await put(subject);
    const put2 = await put(subject, { token: `\u{10ffff}${freshId()}` });
    expect(await subject.store.listSignalWaiters('')).toEqual(expect.arrayContaining([put1, put2]));
  });

  it('leaves the waiters it lists', async () => {
    const waiter = await put(subject);
    await subject.store.listSignalWaiters(waiter.token);
    expect(await subject.store.takeSignalWaiter(waiter.token)).toEqual(waiter);
  });

  needs(subject, 'totalOrder')('lists by run, furthest step first, then token', async () => {
    const base = freshId('o:');
    const rows = [
      ['b', 2, '1'],
      ['a', 1, '2'],
      ['a', 10, '3'],
      ['B', 1, '4'],
      ['a', 10, 'Z'],
      ['a', -1, '5'],
    ] as const;
    for (const [run, seq, name] of rows) await put(subject, { token: base + name, runId: base + run, seq });
    const found = await subject.store.listSignalWaiters(base);
    expect(found.map(({ token }) => token.slice(base.length)).join('')).toBe('43Z251');
  });
}

async function put({ store }: Subject, fields: Partial<SignalWaiter> = {}): Promise<SignalWaiter> {
  const waiter = { token: freshId('token'), runId: freshId(), seq: 3, ...fields };
  await store.putSignalWaiter(waiter);
  return waiter;
}
