import { randomInt } from 'node:crypto';
import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../lib';
import { History, isLinearizable } from './model/history';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';
import { aRun, freshId } from './support/fixtures';

/** Histories of each kind and database; CI checks a few, `DURABLE_MODEL_RUNS` many. */
const ROUNDS = Math.ceil(Number(process.env.DURABLE_MODEL_RUNS ?? 60) / 10);
const CLIENTS = 4;
const CALLS = 6;

describe('the checker', () => {
  const take = (answer: number | null, from: number, to: number) => ({ operation: { take: answer }, from, to });
  const put = (put: number, from: number, to: number) => ({ operation: { put }, from, to });
  const queue = (state: number[], operation: { put?: number; take?: number | null }) => {
    if (operation.put !== undefined) return [...state, operation.put];
    const [first = null, ...rest] = state;
    return first === operation.take ? rest : undefined;
  };

  it.each([
    ['a take that overlaps the put it misses', true, [put(1, 0, 5), take(null, 1, 2), take(1, 6, 7)]],
    ['a take that misses what was put before it', false, [put(1, 0, 1), take(null, 2, 3)]],
    ['two takes of one row', false, [put(1, 0, 1), take(1, 2, 5), take(1, 3, 6)]],
    ['a younger row before an older one', false, [put(1, 0, 1), put(2, 2, 3), take(2, 4, 5), take(1, 6, 7)]],
    ['either order of overlapping puts', true, [put(1, 0, 3), put(2, 1, 2), take(2, 4, 5), take(1, 6, 7)]],
    ['a row that nobody put', false, [take(1, 0, 9)]],
  ])('judges %s: %p', (_what, verdict, events) => {
    expect(isLinearizable(events, [], queue)).toBe(verdict);
  });
});

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let stores: MikroOrmStateStore[];
  let operator: MikroOrmStateStore;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
    await db.ensureSchema();
    // Connections of their own, except where one waits for another by stopping this process.
    const orms = await Promise.all(Array.from({ length: kind.driver === 'better-sqlite' ? 1 : 3 }, () => db.open()));
    stores = orms.map((orm) => new MikroOrmStateStore(orm));
    operator = new MikroOrmStateStore(orms[0] as MikroORM);
  });
  afterAll(() => db.drop());

  /** Clients that make calls one after the other, all clients at once. */
  async function crowd(act: (store: MikroOrmStateStore, n: number) => Promise<unknown>): Promise<void> {
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let n = 0; n < CALLS; n += 1)
        await act(stores[client % stores.length] as MikroOrmStateStore, client * CALLS + n);
    });
    await Promise.all(clients);
  }

  it('takes buffered signals first in, first out, each once, and misses none', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const token = freshId('token');
      const history = new History<{ put: number } | { taken: number | null }>();
      await crowd((store, n) =>
        randomInt(2) === 0
          ? history.record(
              () => store.bufferSignal(token, n),
              () => ({ put: n }),
            )
          : history.record(
              () => store.takeBufferedSignal(token),
              (row) => ({ taken: (row?.payload as number) ?? null }),
            ),
      );
      const verdict = isLinearizable(history.events, [] as number[], (queue, operation) => {
        if ('put' in operation) return [...queue, operation.put];
        const [first = null, ...rest] = queue;
        return first === operation.taken ? rest : undefined;
      });
      expect({ verdict, history: verdict ? [] : history.events }).toEqual({ verdict: true, history: [] });
    }
  });

  it('gives a token to the last that put a waiter, and the waiter to the first that takes it', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const token = freshId('token');
      const history = new History<{ put: number } | { taken: number | null } | { removed: number }>();
      await crowd((store, seq) => {
        const waiter = { token, runId: 'r', seq };
        const choice = randomInt(5);
        if (choice < 2)
          return history.record(
            () => store.putSignalWaiter(waiter),
            () => ({ put: seq }),
          );
        if (choice < 4)
          return history.record(
            () => store.takeSignalWaiter(token),
            (row) => ({ taken: row?.seq ?? null }),
          );
        return history.record(
          () => store.removeSignalWaiter({ ...waiter, seq: seq - 1 }),
          () => ({ removed: seq - 1 }),
        );
      });
      const verdict = isLinearizable(history.events, null as number | null, (owner, operation) => {
        if ('put' in operation) return operation.put;
        if ('removed' in operation) return operation.removed === owner ? null : owner;
        return operation.taken === owner ? null : undefined;
      });
      expect({ verdict, history: verdict ? [] : history.events }).toEqual({ verdict: true, history: [] });
    }
  });

  it('leases a run to one owner at a time', async () => {
    type Lease = { owner: string | null; until: number };
    type Call = { verb: 'lock' | 'renew' | 'release'; owner: string; now: number; until: number; answer: boolean };
    // What comes between the two looks of a renewal is rare.
    for (let round = 0; round < Math.max(ROUNDS, 120); round += 1) {
      const run = aRun({ status: 'running' });
      await (stores[0] as MikroOrmStateStore).createRun(run);
      const history = new History<Call>();
      await crowd((store, n) => {
        const [owner, now] = [`owner-${n % CLIENTS}`, randomInt(1, 9)];
        const until = now + randomInt(1, 4);
        const call = (verb: Call['verb']) => (answer: unknown) => ({
          verb,
          owner,
          now,
          until,
          answer: answer === true,
        });
        const choice = randomInt(5);
        if (choice < 3) return history.record(() => store.tryLockRun(run.id, owner, until, now), call('lock'));
        if (choice < 4) return history.record(() => store.renewRunLock(run.id, owner, until), call('renew'));
        // Won nothing itself, and so frees whoever's lease it is.
        return history.record(() => operator.releaseRunLock(run.id), call('release'));
      });
      const free: Lease = { owner: null, until: 0 };
      const verdict = isLinearizable(history.events, free, (lease, { verb, owner, now, until, answer }) => {
        if (verb === 'release') return free;
        const granted = verb === 'lock' ? lease.owner === null || lease.until <= now : lease.owner === owner;
        if (granted !== answer) return undefined;
        if (!granted) return lease;
        return { owner, until: verb === 'renew' ? Math.max(lease.until, until) : until };
      });
      expect({ verdict, history: verdict ? [] : history.events }).toEqual({ verdict: true, history: [] });
    }
  });

  it('lets one consumer claim an event, and only while it is there', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const event = { id: freshId('event'), name: 'n', payload: 1, publishedAt: 1 };
      const history = new History<{ published: true } | { claimed: boolean }>();
      await crowd((store) =>
        randomInt(3) === 0
          ? history.record(
              () => store.bufferEvent(event),
              () => ({ published: true }) as const,
            )
          : history.record(
              () => store.removeBufferedEvent(event.id),
              (claimed) => ({ claimed }),
            ),
      );
      const verdict = isLinearizable(history.events, false, (there, operation) => {
        if ('published' in operation) return true;
        return operation.claimed === there ? false : undefined;
      });
      expect({ verdict, history: verdict ? [] : history.events }).toEqual({ verdict: true, history: [] });
    }
  });
});
