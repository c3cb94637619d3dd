import { type GroupBounds, GroupCommit, type Grouping } from '../lib/group-commit';

interface Item {
  key: string;
  value: number;
  size?: number;
}

const BOUNDS: GroupBounds = { lanes: 1, maxItems: 100, maxSize: 1000, patienceMs: 60_000, beginsNextTurn: false };

/** A group commit whose executions wait to be let through by hand. */
class Gate {
  readonly groups: Item[][] = [];
  private readonly waiting: (() => void)[] = [];
  failing: (items: readonly Item[]) => Error | undefined = () => undefined;
  readonly commit: GroupCommit<Item, number>;

  constructor(bounds: Partial<GroupBounds> = {}, grouping: Partial<Grouping<Item, number>> = {}) {
    this.commit = new GroupCommit<Item, number>(
      {
        counted: (work) => work(),
        admit: () => undefined,
        run: async (items) => {
          this.groups.push([...items]);
          await new Promise<void>((resolve) => this.waiting.push(resolve));
          const failure = this.failing(items);
          if (failure) throw failure;
          return items.map(({ value }) => value * 10);
        },
        key: ({ key }) => key,
        size: ({ size = 1 }) => size,
        divisible: () => true,
        ...grouping,
      },
      { ...BOUNDS, ...bounds },
    );
  }

  submit(...values: (Item | number)[]): Promise<number>[] {
    return values.map((value) => this.commit.submit(typeof value === 'number' ? { key: String(value), value } : value));
  }

  /** Let the oldest execution finish, once it is there. */
  async release(): Promise<void> {
    await settled();
    this.waiting.shift()?.();
    await settled();
  }

  async releaseAll(): Promise<void> {
    for (await settled(); this.waiting.length > 0; await settled()) this.waiting.shift()?.();
  }

  get values(): number[][] {
    return this.groups.map((group) => group.map(({ value }) => value));
  }
}

/** Until every promise that can go on has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

it('lets a lone caller go at once, without waiting for company', async () => {
  const gate = new Gate();
  const [result] = gate.submit(1);
  await settled();
  expect(gate.values).toEqual([[1]]);
  await gate.release();
  expect(await result).toBe(10);
});

it('takes callers of one tick together, and those that come meanwhile in the next group', async () => {
  const gate = new Gate();
  const results = gate.submit(1, 2);
  await settled();
  results.push(...gate.submit(3, 4, 5));
  await gate.releaseAll();
  expect(gate.values).toEqual([
    [1, 2],
    [3, 4, 5],
  ]);
  expect(await Promise.all(results)).toEqual([10, 20, 30, 40, 50]);
});

it('resolves no promise before the execution that carried its item has ended', async () => {
  const gate = new Gate();
  let resolved = false;
  void gate.submit(1)[0]?.then(() => {
    resolved = true;
  });
  await settled();
  expect(resolved).toBe(false);
  await gate.release();
  expect(resolved).toBe(true);
});

it('never puts two items of one key into a group, and keeps their order', async () => {
  const gate = new Gate();
  const results = gate.submit(
    { key: 'a', value: 1 },
    { key: 'b', value: 2 },
    { key: 'a', value: 3 },
    { key: 'a', value: 4 },
  );
  await gate.releaseAll();
  await Promise.all(results);
  expect(gate.values).toEqual([[1, 2], [3], [4]]);
});

it('keeps items of one key apart and in order across lanes', async () => {
  const gate = new Gate({ lanes: 2 });
  const results = gate.submit({ key: 'a', value: 1 });
  await settled();
  results.push(...gate.submit({ key: 'a', value: 2 }, { key: 'b', value: 3 }));
  await settled();
  expect(gate.values).toEqual([[1], [3]]);
  await gate.releaseAll();
  await Promise.all(results);
  expect(gate.values).toEqual([[1], [3], [2]]);
});

it('runs no more groups at once than it has lanes', async () => {
  const gate = new Gate({ lanes: 2, maxItems: 1 });
  const results = gate.submit(1, 2, 3, 4);
  await settled();
  expect(gate.values).toEqual([[1], [2]]);
  await gate.release();
  expect(gate.values).toEqual([[1], [2], [3]]);
  await gate.releaseAll();
  expect(await Promise.all(results)).toEqual([10, 20, 30, 40]);
});

it('bounds a group by number and by size, and sends what is larger alone', async () => {
  const gate = new Gate({ maxItems: 3, maxSize: 10 });
  const results = gate.submit(
    { key: 'a', value: 1, size: 4 },
    { key: 'b', value: 2, size: 6 },
    { key: 'c', value: 3, size: 1 },
    { key: 'd', value: 4, size: 99 },
    5,
    6,
    7,
    8,
  );
  await gate.releaseAll();
  await Promise.all(results);
  expect(gate.values).toEqual([[1, 2], [3], [4], [5, 6, 7], [8]]);
});

it('fails only the caller whose item fails by itself', async () => {
  const gate = new Gate();
  gate.failing = (items) => (items.some(({ value }) => value === 3) ? new Error('bad row') : undefined);
  const results = gate.submit(1, 2, 3, 4, 5);
  const outcomes = Promise.allSettled(results);
  await gate.releaseAll();
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
  ]);
  expect(await results[0]).toBe(10);
});

it('fails everybody at once when dividing would not help', async () => {
  const gate = new Gate({}, { divisible: () => false });
  gate.failing = () => new Error('connection lost');
  const outcomes = Promise.allSettled(gate.submit(1, 2, 3));
  await gate.releaseAll();
  expect((await outcomes).every(({ status }) => status === 'rejected')).toBe(true);
  expect(gate.values).toEqual([[1, 2, 3]]);
});

it('goes on after a failure', async () => {
  const gate = new Gate();
  gate.failing = () => new Error('no');
  const first = Promise.allSettled(gate.submit(1));
  await gate.releaseAll();
  await first;
  gate.failing = () => undefined;
  const [second] = gate.submit(2);
  await gate.releaseAll();
  expect(await second).toBe(20);
});

it('starves nobody: a busy key does not hold back the others', async () => {
  const gate = new Gate({ maxItems: 2 });
  const busy = Array.from({ length: 6 }, (_, value) => ({ key: 'busy', value }));
  const results = gate.submit(...busy, { key: 'quiet', value: 99 });
  await settled();
  expect(gate.values[0]).toEqual([0, 99]);
  await gate.releaseAll();
  await Promise.all(results);
});

it('refuses in the caller’s own context, before anything is queued', async () => {
  const gate = new Gate(
    {},
    {
      counted: (work) => work(),
      admit: () => {
        throw new Error('not now');
      },
    },
  );
  await expect(gate.submit(1)[0]).rejects.toThrow('not now');
  await settled();
  expect(gate.groups).toEqual([]);
});

it('lets others pass a group that takes too long, but nobody of its own keys', async () => {
  const gate = new Gate({ patienceMs: 1 });
  const stuck = gate.submit({ key: 'held', value: 1 });
  await settled();
  const later = gate.submit({ key: 'held', value: 2 }, { key: 'free', value: 3 });
  while (gate.groups.length < 2) await settled();
  expect(gate.values).toEqual([[1], [3]]);
  await gate.release();
  await Promise.all(stuck);
  await gate.releaseAll();
  expect(await Promise.all(later)).toEqual([20, 30]);
  expect(gate.values).toEqual([[1], [3], [2]]);
});

it('settles an item that goes on by itself when it is done, and holds up none of its neighbours', async () => {
  let finish: (result: number) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const slow = new Promise<number>((resolve) => (finish = resolve));
  const failing = new Promise<number>((_, reject) => (fail = reject));
  const groups: number[] = [];
  const commit = new GroupCommit<number, number>(
    {
      counted: (work) => work(),
      admit: () => undefined,
      run: async (items) => {
        groups.push(items.length);
        return items.map((item) => ({ 1: slow, 2: failing })[item] ?? item * 10);
      },
      size: () => 1,
      divisible: () => true,
    },
    BOUNDS,
  );
  const [first, second, third] = [1, 2, 3].map((item) => commit.submit(item)) as [
    Promise<number>,
    ...Promise<number>[],
  ];
  expect(await third).toBe(30);
  const later = commit.submit(4);
  await settled();
  expect(groups).toEqual([3]);
  fail(new Error('alone'));
  await expect(second).rejects.toThrow('alone');
  await settled();
  expect(groups).toEqual([3]);
  finish(10);
  expect(await Promise.all([first, later])).toEqual([10, 40]);
  expect(groups).toEqual([3, 1]);
});

it('keeps kinds apart, and the order of a key across them', async () => {
  const gate = new Gate({}, { kind: ({ value }) => (value < 10 ? 'small' : 'large') });
  const results = gate.submit(
    { key: 'a', value: 1 },
    { key: 'b', value: 20 },
    { key: 'b', value: 3 },
    { key: 'c', value: 4 },
  );
  await gate.releaseAll();
  expect(gate.values).toEqual([[1, 4], [20], [3]]);
  expect(await Promise.all(results)).toEqual([10, 200, 30, 40]);
});
