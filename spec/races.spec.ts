import { InMemoryStateStore } from '@dudousxd/nestjs-durable-core';
import { RACES } from './races/list';
import { takesOfASignal, takesOfAWaiter } from './races/list/takes';
import { oneWinner, type Put, queueFaults, type Span, type Take } from './races/order';
import { play, type Result } from './races/play';
import { tokenOf, WAITING, waitingEngine } from './races/waiting';
import { Gate } from './support/concurrency';
import { eachDatabase, KINDS } from './support/databases';
import { freshId } from './support/fixtures';

/** Enough to see that everything works; `npm run races` plays 60 rounds of 60 calls. */
const SIZE = { rounds: 3, calls: 12, processes: 3 };

describe('a judge', () => {
  const span = (from: number, to: number): Span => ({ from, to });
  const put = (value: string, from: number, to: number): Put<string> => ({ value, from, to });
  const take = (value: string | null, from: number, to: number): Take<string> => ({ value, from, to });

  it.each<[string, string[], Put<string>[], Take<string>[]]>([
    ['values in order', [], [put('a', 0, 1), put('b', 2, 3)], [take('a', 4, 5), take('b', 4, 5)]],
    ['overlapping takes in either order', [], [put('a', 0, 1), put('b', 2, 3)], [take('b', 4, 6), take('a', 5, 7)]],
    ['overlapping puts in either order', [], [put('a', 0, 2), put('b', 1, 3)], [take('b', 4, 5), take('a', 6, 7)]],
    ['a miss while the queue may be empty', [], [put('a', 0, 5)], [take(null, 1, 2), take('a', 6, 7)]],
    [
      'a miss between two values',
      [],
      [put('a', 0, 1), put('b', 4, 6)],
      [take(null, 2, 5), take('a', 3, 4), take('b', 7, 8)],
    ],
    ['a lost value', ['a is lost'], [put('a', 0, 1)], [take(null, 0, 1)]],
    ['a value given twice', ['a was taken twice'], [put('a', 0, 1)], [take('a', 2, 5), take('a', 3, 4)]],
    ['a value from nowhere', ['a was taken but not put'], [], [take('a', 0, 1)]],
    [
      'a value out of turn',
      ['b was taken before a'],
      [put('a', 0, 1), put('b', 2, 3)],
      [take('b', 4, 5), take('a', 6, 7)],
    ],
    ['a miss of a value', ['a take missed a value'], [put('a', 0, 1)], [take(null, 2, 3), take('a', 4, 5)]],
    [
      'a miss while one value came before the other went',
      ['a take missed a value'],
      [put('a', 0, 1), put('b', 2, 3)],
      [take(null, 2, 9), take('a', 4, 5), take('b', 10, 11)],
    ],
  ])('of a queue knows %s', (_what, faults, puts, takes) => {
    expect(queueFaults(puts, takes)).toEqual(faults);
  });

  it('knows that one caller must win, and nobody lose before it was made', () => {
    const calls = [
      { n: 0, ...span(0, 1), won: false },
      { n: 1, ...span(2, 3), won: true },
      { n: 2, ...span(2, 3), won: true },
    ];
    const faults = (...of: number[]) =>
      oneWinner(
        'x',
        of.map((n) => calls[n]!),
        ({ won }) => won,
      );
    expect(faults(1)).toEqual([]);
    expect(faults(0)).toEqual(['x: 0 winners']);
    expect(faults(1, 2)).toEqual(['x: 2 winners']);
    expect(faults(0, 1)).toEqual(['x: call 0 lost before the winner, 1, was made']);
  });

  it('sees what a store does that reads a row and then deletes it', async () => {
    const kind = KINDS.find(({ driver }) => driver === 'better-sqlite')!;
    const [waiter, signal] = await play(kind, [takesOfAWaiter, takesOfASignal], SIZE, { defective: true });
    expect(waiter?.violations).toContainEqual(expect.stringMatching(/the waiter: (?:[2-9]|\d\d+) winners/));
    expect(signal?.violations).toContainEqual(expect.stringMatching(/was taken twice/));
  });
});

/** What `wake-ups` counts, on the engine's own store and without chance. */
it('the engine leaves a run asleep whose signal comes while the turn that will suspend it holds the lease', async () => {
  const store = new InMemoryStateStore();
  const [waits, signalled] = [new Gate(), new Gate()];
  let looks = 0;
  const heldUp = Object.assign(Object.create(store) as InMemoryStateStore, {
    takeBufferedSignal: async (token: string) => {
      looks += 1;
      if (looks === 2) waits.open();
      if (looks === 2) await signalled.passed;
      return store.takeBufferedSignal(token);
    },
  });
  const runId = freshId();
  const engine = waitingEngine(heldUp);
  await engine.start(WAITING, {}, runId);
  await waits.passed;
  const sender = waitingEngine(store);
  expect(await sender.signal(tokenOf(runId), 'payload')).toMatchObject({ status: 'running' });
  signalled.open();
  expect(await engine.waitForRun(runId)).toMatchObject({ status: 'suspended' });
  await engine.drain();
  expect(await store.getCheckpoint(runId, 0)).toMatchObject({ status: 'completed', output: 'payload' });
  expect(await store.listDueTimers(Number.MAX_SAFE_INTEGER)).toEqual([]);
  expect(await sender.runOne(runId)).toMatchObject({ status: 'completed', output: 'payload' });
});

eachDatabase(KINDS, (kind) => {
  let results: Result[];

  beforeAll(async () => {
    results = await play(kind, RACES, SIZE);
  }, 180_000);

  it.each(RACES.map(({ name }) => name))('%s between processes', (name) => {
    expect(results.find(({ race }) => race === name)?.violations).toEqual([]);
  });
});
