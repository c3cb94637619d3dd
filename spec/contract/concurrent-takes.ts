import type { MikroOrmStateStore, WorkflowRun } from '../../lib';
import { atOnce, OpenTransaction, untilBlocked } from '../support/concurrency';
import { aRun, freshId } from '../support/fixtures';
import { groupNeeds, needs, type Subject } from './subject';

const ROUNDS = [1, 2, 3, 4, 5];

/** Calls of one store may share statements; stores share nothing but the database. */
const CALLERS: [string, (subject: Subject) => readonly MikroOrmStateStore[]][] = [
  ['through one store', ({ store }) => [store]],
  ['on separate connections', ({ peers }) => peers],
];

const hits = <T>(results: readonly (T | null | false)[]) =>
  results.filter((result) => result !== null && result !== false);

export function concurrentTakes(subject: Subject): void {
  for (const [where, among] of CALLERS) {
    groupNeeds(subject, 'database')(`many takers at once ${where}`, () => {
      oneWinner(subject, () => among(subject));
      queues(subject, () => among(subject));
    });
  }
  groupNeeds(subject, 'database')('a taker', () => competitorsThatGiveUp(subject));
}

function oneWinner(subject: Subject, callers: () => readonly MikroOrmStateStore[]): void {
  it.each(ROUNDS)('one receives a waiter (round %i)', async () => {
    const waiter = { token: freshId('t'), runId: freshId(), seq: 1 };
    await subject.store.putSignalWaiter(waiter);
    const taken = await atOnce(18, callers(), (store) => store.takeSignalWaiter(waiter.token));
    expect(hits(taken)).toEqual([waiter]);
  });

  it.each(ROUNDS)('one claims an event (round %i)', async () => {
    const id = freshId('id');
    await subject.store.bufferEvent({ id, name: id, payload: 1, publishedAt: 1 });
    const taken = await atOnce(18, callers(), (store) => store.removeBufferedEvent(id));
    expect(hits(taken)).toEqual([true]);
  });

  it.each(ROUNDS)('one leases a free run, and then one an expired one (round %i)', async () => {
    const { id } = await stored(subject);
    const race = (now: number) =>
      atOnce(18, callers(), (store, n) => store.tryLockRun(id, `owner-${now}-${n}`, now + 10, now));
    for (const now of [100, 110, 200]) {
      const won = await race(now);
      expect(hits(won)).toEqual([true]);
      const run = await subject.store.getRun(id);
      expect([run?.lockedBy, run?.lockedUntil]).toEqual([`owner-${now}-${won.indexOf(true)}`, now + 10]);
    }
  });

  it('one keeps a lease that is renewed and taken over at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const run = await stored(subject, { lockedBy: 'holder', lockedUntil: 100 });
      const [renewed, ...taken] = await atOnce(9, callers(), (store, n) =>
        n === 0 ? store.renewRunLock(run.id, 'holder', 500) : store.tryLockRun(run.id, `thief-${n}`, 300, 100),
      );
      const owner = (await subject.store.getRun(run.id))?.lockedBy;
      expect(hits([renewed as boolean, ...taken])).toEqual([true]);
      expect(owner === 'holder').toBe(renewed);
    }
  });
}

function queues(subject: Subject, callers: () => readonly MikroOrmStateStore[]): void {
  it.each(ROUNDS)('as many as there are signals all receive one, each another (round %i)', async () => {
    const token = freshId('t');
    for (let n = 0; n < 9; n += 1) await subject.store.bufferSignal(token, n);
    const taken = await atOnce(9, callers(), (store) => store.takeBufferedSignal(token));
    expect(taken.map((signal) => signal?.payload).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it.each(ROUNDS)('too many for the signals get null, and no signal twice (round %i)', async () => {
    const token = freshId('t');
    for (let n = 0; n < 5; n += 1) await subject.store.bufferSignal(token, n);
    const taken = await atOnce(15, callers(), (store) => store.takeBufferedSignal(token));
    expect(
      hits(taken)
        .map((signal) => (signal as { payload: number }).payload)
        .sort(),
    ).toEqual([0, 1, 2, 3, 4]);
    expect(await subject.store.takeBufferedSignal(token)).toBeNull();
  });

  it('the first takes the oldest while others buffer', async () => {
    const token = freshId('t');
    for (let n = 0; n < 6; n += 1) await callers()[n % callers().length]?.bufferSignal(token, n);
    const more = atOnce(6, callers(), (store, n) => store.bufferSignal(token, 100 + n));
    const order: unknown[] = [];
    for (let n = 0; n < 6; n += 1) order.push((await subject.peers[n % 2]?.takeBufferedSignal(token))?.payload);
    await more;
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('no signal is lost between many that buffer and many that take', async () => {
    const token = freshId('t');
    const taken: unknown[] = [];
    await atOnce(24, callers(), async (store, n) => {
      if (n % 2 === 0) return store.bufferSignal(token, n);
      const signal = await store.takeBufferedSignal(token);
      if (signal) taken.push(signal.payload);
    });
    for (
      let left = await subject.store.takeBufferedSignal(token);
      left;
      left = await subject.store.takeBufferedSignal(token)
    ) {
      taken.push(left.payload);
    }
    expect(taken.map(Number).sort((a, b) => a - b)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]);
  });
}

/** A competitor holds the row; only its end tells whether it took it. */
function competitorsThatGiveUp(subject: Subject): void {
  const ends = [['rollback'], ['commit']] as const;

  needs(subject, 'pool').each(ends)('a taker of a waiter waits for a competitor’s %s, and goes by it', async (end) => {
    const waiter = { token: freshId('t'), runId: freshId(), seq: 1 };
    await subject.store.putSignalWaiter(waiter);
    const statement = 'delete from durable_signal_waiters where token = ?';
    const taken = await behind(subject, end, statement, waiter.token, (store) => store.takeSignalWaiter(waiter.token));
    expect(taken).toEqual(end === 'rollback' ? waiter : null);
  });

  needs(subject, 'pool').each(ends)('a taker of signals waits for a competitor’s %s, and goes by it', async (end) => {
    const token = freshId('t');
    await subject.store.bufferSignal(token, 'first');
    await subject.store.bufferSignal(token, 'second');
    const payload = subject.kind.family === 'postgresql' ? 'payload::text' : 'payload';
    const statement = `delete from durable_buffered_signals where token = ? and ${payload} like '%first%'`;
    const taken = await behind(subject, end, statement, token, (store) => store.takeBufferedSignal(token));
    expect(taken).toEqual({ payload: end === 'rollback' ? 'first' : 'second' });
  });

  needs(subject, 'pool').each(ends)('a taker of the only signal waits for a competitor’s %s', async (end) => {
    const token = freshId('t');
    await subject.store.bufferSignal(token, 'only');
    const statement = 'delete from durable_buffered_signals where token = ?';
    const taken = await behind(subject, end, statement, token, (store) => store.takeBufferedSignal(token));
    expect(taken).toEqual(end === 'rollback' ? { payload: 'only' } : null);
  });

  needs(
    subject,
    'pool',
    'rowLocks',
  )('a taker of the only signal receives one that came while it waited', async () => {
    const token = freshId('t');
    await subject.store.bufferSignal(token, 'only');
    const statement = 'delete from durable_buffered_signals where token = ?';
    const competitor = await OpenTransaction.holding(subject.orm, statement, [token]);
    const taken = subject.peers[0]!.takeBufferedSignal(token);
    await untilBlocked(subject.kind, subject.orm);
    await subject.peers[1]!.bufferSignal(token, 'later').finally(() => competitor.commit());
    expect(await taken).toEqual({ payload: 'later' });
  });

  needs(subject, 'pool').each(ends)('a lease waits for a run to end, and is won only after a %s', async (end) => {
    const { id } = await stored(subject);
    const statement = "update durable_workflow_runs set status = 'completed' where id = ?";
    const won = await behind(subject, end, statement, id, (store) => store.tryLockRun(id, 'me', 10, 1));
    expect(won).toBe(end === 'rollback');
  });
}

/** What a call answers that began while another transaction had run `statement` and had not ended. */
async function behind<T>(
  { orm, kind, peers }: Subject,
  end: 'commit' | 'rollback',
  statement: string,
  param: string,
  call: (store: MikroOrmStateStore) => Promise<T>,
): Promise<T> {
  const competitor = await OpenTransaction.holding(orm, statement, [param]);
  const answer = call(peers[0] as MikroOrmStateStore);
  await untilBlocked(kind, orm).finally(() => competitor[end]());
  return answer;
}

async function stored({ store }: Subject, fields: Partial<WorkflowRun> = {}): Promise<WorkflowRun> {
  const run = aRun(fields);
  await store.createRun(run);
  return run;
}
