import type { SignalWaiter } from '../../../lib';
import { freshId } from '../../support/fixtures';
import { oneWinner, type Put, queueFaults, type Take, timed } from '../order';
import type { Race } from '../race';

/** All calls take one waiter. */
export const takesOfAWaiter: Race<SignalWaiter, SignalWaiter | null> = {
  name: 'take-waiter',

  async prepare({ store }) {
    const waiter = { token: freshId('token'), runId: freshId(), seq: 1 };
    await store.putSignalWaiter(waiter);
    return waiter;
  },

  call: (contender, { token }, n) => contender.store(n).takeSignalWaiter(token),

  async judge({ store }, waiter, calls) {
    const wrong = calls.filter(({ answer }) => answer !== null && answer.runId !== waiter.runId);
    const left = await store.takeSignalWaiter(waiter.token);
    return [
      ...oneWinner('the waiter', calls, ({ answer }) => answer !== null),
      ...wrong.map(({ n }) => `call ${n} received another waiter`),
      ...(left ? ['the waiter is still there'] : []),
    ];
  },
};

interface Queue {
  readonly token: string;
  /** Signals that were there before anybody came. */
  readonly puts: readonly Put<string>[];
}

/** Of three calls one buffers a signal and two take; some signals are there before. Every signal is distinct. */
export const takesOfASignal: Race<Queue, { readonly taken: string | null } | 'buffered'> = {
  name: 'take-signal',

  async prepare({ store }, { calls }) {
    const token = freshId('token');
    const puts: Put<string>[] = [];
    for (let n = 0; n < calls / 3; n += 1) {
      const { from, to } = await timed(() => store.bufferSignal(token, `early ${n}`));
      puts.push({ value: `early ${n}`, from, to });
    }
    return { token, puts };
  },

  async call(contender, { token }, n) {
    const store = contender.store(n);
    if (isPut(n)) return store.bufferSignal(token, `signal ${n}`).then(() => 'buffered');
    return { taken: ((await store.takeBufferedSignal(token))?.payload as string) ?? null };
  },

  async judge({ store }, queue, calls) {
    const puts = calls.filter(({ n }) => isPut(n)).map(({ n, from, to }) => ({ value: `signal ${n}`, from, to }));
    const takes: Take<string>[] = calls.flatMap(({ answer, from, to }) =>
      answer === 'buffered' ? [] : [{ value: answer.taken, from, to }],
    );
    for (let left = true; left; ) {
      const { answer, from, to } = await timed(() => store.takeBufferedSignal(queue.token));
      left = answer !== null;
      takes.push({ value: (answer?.payload as string) ?? null, from, to });
    }
    return queueFaults([...queue.puts, ...puts], takes);
  },
};

/** Every third; by threes, so that with three processes each does both. */
function isPut(n: number): boolean {
  return Math.floor(n / 3) % 3 === 0;
}
