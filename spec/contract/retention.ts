import { MikroOrmStateStore, type RetentionPolicy, type RunStatus, type WorkflowRun } from '../../lib';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { groupNeeds, type Subject } from './subject';

const NOW = Date.UTC(2026, 2, 31);
const DAY = 86_400_000;

const daysAgo = (days: number) => new Date(NOW - days * DAY);

export function retention(subject: Subject): void {
  groupNeeds(subject, 'retention')('retention', () => {
    beforeEach(() => subject.clear());
    age(subject);
    count(subject);
    order(subject);
    cascade(subject);
    noPolicy(subject);
  });
}

function age(subject: Subject): void {
  it.each([['7d'], ['168h'], ['1w'], [7 * DAY], ['7 days']])(
    'prunes runs last updated more than %p ago',
    async (maxAge) => {
      await given(subject, { old: 8, young: 6, exact: 7 });
      expect(await prune(subject, { maxAge })).toBe(1);
      expect(await left(subject)).toEqual(['exact', 'young']);
    },
  );

  it('tells a millisecond', async () => {
    await finished(subject, 'exact', new Date(NOW - 1000));
    await finished(subject, 'late', new Date(NOW - 1001));
    expect(await prune(subject, { maxAge: '1s' })).toBe(1);
    expect(await left(subject)).toEqual(['exact']);
  });

  it('prunes runs of the last instant there is', async () => {
    await finished(subject, 'last', new Date('9999-12-31T23:59:59.999Z'));
    expect(await prune(subject, { maxCount: 0 })).toBe(1);
  });

  it('goes by the last update, not by creation', async () => {
    await subject.store.createRun(
      aRun({ id: 'a', status: 'completed', createdAt: daysAgo(99), updatedAt: daysAgo(1) }),
    );
    expect(await prune(subject, { maxAge: '7d' })).toBe(0);
  });

  it('prunes nothing by an endless age, and all that is past by none', async () => {
    await given(subject, { old: 8, now: 0 });
    expect(await prune(subject, { maxAge: Number.POSITIVE_INFINITY })).toBe(0);
    expect(await prune(subject, { maxAge: 0 })).toBe(1);
    expect(await left(subject)).toEqual(['now']);
  });
}

function count(subject: Subject): void {
  it('keeps the newest of all the statuses together', async () => {
    await given(subject, { a: 4, b: 3, c: 2, d: 1 });
    await finished(subject, 'e', daysAgo(2.5), 'failed');
    expect(await prune(subject, { statuses: ['completed', 'failed'], maxCount: 3 })).toBe(2);
    expect(await left(subject)).toEqual(['c', 'd', 'e']);
  });

  it.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 2],
  ])('keeps %i at most: %i of two', async (maxCount, kept) => {
    await given(subject, { a: 1, b: 2 });
    expect(await prune(subject, { maxCount })).toBe(2 - kept);
    expect(await left(subject)).toHaveLength(kept);
  });

  it('keeps the highest ids of runs updated at one instant', async () => {
    await given(subject, { b: 1, a: 1, c: 1 });
    expect(await prune(subject, { maxCount: 1 })).toBe(2);
    expect(await left(subject)).toEqual(['c']);
  });

  it('prunes what breaks either bound', async () => {
    await given(subject, { ancient: 30, old: 8, b: 3, c: 2 });
    expect(await prune(subject, { maxAge: '7d', maxCount: 3 })).toBe(2);
    expect(await left(subject)).toEqual(['b', 'c']);
    expect(await prune(subject, { maxAge: '7d', maxCount: 1 })).toBe(1);
    expect(await left(subject)).toEqual(['c']);
  });
}

function order(subject: Subject): void {
  it('prunes the longest finished first, a limit at a time', async () => {
    await given(subject, { c: 10, a: 12, b: 11, d: 9 });
    expect(await prune(subject, { maxAge: '7d' }, 2)).toBe(2);
    expect(await left(subject)).toEqual(['c', 'd']);
    expect(await prune(subject, { maxAge: '7d' }, 2)).toBe(2);
    expect(await prune(subject, { maxAge: '7d' }, 2)).toBe(0);
  });

  it('prunes the oldest surplus first', async () => {
    await given(subject, { a: 12, b: 11, c: 10, d: 9 });
    expect(await prune(subject, { maxCount: 1 }, 2)).toBe(2);
    expect(await left(subject)).toEqual(['c', 'd']);
  });

  it('prunes runs of one instant by id', async () => {
    await given(subject, { b: 9, a: 9, C: 9 });
    expect(await prune(subject, { maxAge: '7d' }, 2)).toBe(2);
    expect(await left(subject)).toEqual(['b']);
  });

  it.each([0, -1])('prunes nothing with a limit of %i', async (limit) => {
    await given(subject, { a: 12 });
    expect(await prune(subject, { maxAge: '7d' }, limit)).toBe(0);
  });
}

function cascade(subject: Subject): void {
  it('takes all that belongs to a pruned run, and nothing else', async () => {
    const { store } = subject;
    await given(subject, { old: 8, young: 1 });
    for (const runId of ['old', 'young']) {
      await store.saveCheckpoint(aCheckpoint({ runId }));
      await store.putSignalWaiter({ token: `${runId}:w`, runId, seq: 1 });
      await store.updateRun(runId, { searchAttributes: { a: 1 } });
    }
    expect(await prune(subject, { maxAge: '7d' })).toBe(1);
    expect(await store.listCheckpoints('old')).toEqual([]);
    expect((await store.listSignalWaiters('')).map(({ runId }) => runId)).toEqual(['young']);
    expect(await store.listRuns({ attributes: [{ key: 'a', op: 'eq', value: 1 }] })).toHaveLength(1);
    await store.createRun(aRun({ id: 'old' }));
    expect(await store.listRuns({ attributes: [{ key: 'a', op: 'eq', value: 1 }] })).toHaveLength(1);
    expect(await store.listCheckpoints('young')).toHaveLength(1);
  });

  it('drops the completions of pruned runs and leaves other signals and events', async () => {
    const { store } = subject;
    await given(subject, { old: 8, young: 1 });
    for (const token of ['child:old', 'child:young', 'old']) await store.bufferSignal(token, 1);
    await store.bufferEvent({ id: 'e', name: 'child:old', payload: 1, publishedAt: 1 });
    await prune(subject, { maxAge: '7d' });
    expect(await store.takeBufferedSignal('child:old')).toBeNull();
    expect(await store.takeBufferedSignal('child:young')).toEqual({ payload: 1 });
    expect(await store.takeBufferedSignal('old')).toEqual({ payload: 1 });
    expect(await store.listBufferedEvents('child:old', 9)).toHaveLength(1);
  });

  it('keeps the completions when told so', async () => {
    const store = new MikroOrmStateStore(subject.orm, { pruneCompletions: false });
    await given(subject, { old: 8 });
    await store.bufferSignal('child:old', 1);
    expect(await store.pruneTerminalRuns({ statuses: ['completed'], maxAge: '7d' }, NOW, 9)).toBe(1);
    expect(await store.takeBufferedSignal('child:old')).toEqual({ payload: 1 });
  });
}

function noPolicy(subject: Subject): void {
  const policies: [string, RetentionPolicy][] = [
    ['no bound', { statuses: ['completed'] }],
    ['absent bounds', { statuses: ['completed'], maxAge: undefined, maxCount: undefined }],
    ['no status', { statuses: [], maxAge: 0 }],
    ['other statuses', { statuses: ['failed', 'cancelled', 'dead'], maxAge: 0, maxCount: 0 }],
  ];
  it.each(policies)('prunes nothing for a policy with %s', async (_, policy) => {
    await given(subject, { old: 999 });
    expect(await subject.store.pruneTerminalRuns(policy, NOW, 100)).toBe(0);
    expect(await left(subject)).toEqual(['old']);
  });

  it('never prunes a run that has not ended', async () => {
    const statuses: RunStatus[] = ['pending', 'running', 'suspended', 'cancelling', 'blocked'];
    for (const status of statuses) await finished(subject, freshId(), daysAgo(99), status);
    expect(await prune(subject, { statuses: [...statuses, 'completed'], maxAge: 0, maxCount: 0 })).toBe(0);
    expect(await left(subject)).toHaveLength(5);
  });

  it.each([{ maxAge: 'soon' }, { maxAge: '-1d' }, { maxAge: Number.NaN }, { maxCount: -1 }, { maxCount: 1.5 }])(
    'refuses the policy %j',
    async (bounds) => {
      await expect(prune(subject, bounds)).rejects.toMatchObject({
        name: 'DurableInputError',
        code: 'DURABLE_INVALID_QUERY',
      });
    },
  );
}

/** Completed runs by id, each last updated so many days ago. */
async function given(subject: Subject, days: Record<string, number>): Promise<void> {
  for (const [id, ago] of Object.entries(days)) await finished(subject, id, daysAgo(ago));
}

async function finished(
  { store }: Subject,
  id: string,
  updatedAt: Date,
  status: RunStatus = 'completed',
): Promise<void> {
  await store.createRun(aRun({ id, status, createdAt: daysAgo(500), updatedAt } as Partial<WorkflowRun>));
}

function prune({ store }: Subject, policy: Partial<RetentionPolicy>, limit = 100): Promise<number> {
  return store.pruneTerminalRuns({ statuses: ['completed'], ...policy }, NOW, limit);
}

async function left({ store }: Subject): Promise<string[]> {
  return (await store.listRuns({})).map(({ id }) => id).sort();
}
