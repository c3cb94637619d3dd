import type { MikroOrmStateStore } from '../../../lib';
import { freshId } from '../../support/fixtures';
import type { Race } from '../race';

type Part = 'received' | 'suspended' | 'delivered' | 'buffered' | 'reclaimed by the waiter';

/**
 * A signal against the suspension of the run that waits for it, many times over: even calls are the waiter's side of the
 * engine's double check, odd ones the sender's, on the token they have in common. Exactly one side has the signal at the end.
 */
export const handOver: Race<{ readonly prefix: string }, Part> = {
  name: 'signal-hand-over',

  prepare: async () => ({ prefix: freshId('token') }),

  call(contender, { prefix }, n) {
    const token = tokenOf(prefix, n);
    return n % 2 === 0 ? wait(contender.store(n), token) : send(contender.store(n), token, n);
  },

  async judge(arena, { prefix }, calls) {
    const { store } = arena;
    const parts = new Map(calls.map(({ n, answer }) => [n, answer]));
    arena.note('signals that the waiter found', calls.filter(({ answer }) => answer === 'received').length);
    const violations: string[] = [];
    for (let n = 0; n + 1 < calls.length; n += 2) {
      const [waiter, sender] = [parts.get(n), parts.get(n + 1)];
      const handed = [waiter === 'received', sender === 'delivered'].filter(Boolean).length;
      if (handed !== 1) violations.push(`${handed} deliveries: the waiter ${waiter}, the sender ${sender}`);
      if (await store.takeBufferedSignal(tokenOf(prefix, n))) violations.push('the signal is still buffered');
      const asleep = await store.takeSignalWaiter(tokenOf(prefix, n));
      if (asleep) violations.push('the waiter is still there');
    }
    return violations;
  },
};

function tokenOf(prefix: string, n: number): string {
  return `${prefix}:${Math.floor(n / 2)}`;
}

/** As `ctx.waitForSignal` does. */
async function wait(store: MikroOrmStateStore, token: string): Promise<Part> {
  if (await store.takeBufferedSignal(token)) return 'received';
  const waiter = { token, runId: token, seq: 0 };
  await store.putSignalWaiter(waiter);
  if (!(await store.takeBufferedSignal(token))) return 'suspended';
  await store.removeSignalWaiter(waiter);
  return 'received';
}

/** As `engine.signal` does. */
async function send(store: MikroOrmStateStore, token: string, n: number): Promise<Part> {
  if (await store.takeSignalWaiter(token)) return 'delivered';
  await store.bufferSignal(token, n);
  if (!(await store.takeSignalWaiter(token))) return 'buffered';
  return (await store.takeBufferedSignal(token)) ? 'delivered' : 'reclaimed by the waiter';
}
