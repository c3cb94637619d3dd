import { setImmediate as macrotask } from 'node:timers/promises';
import type { ControlMessage } from '@dudousxd/nestjs-durable-core';
import { Outbox } from '../lib/control-plane/outbox';
import { Pace, restMs } from '../lib/control-plane/pace';
import { Gate } from './support/concurrency';

describe('looking at a database that cannot call', () => {
  it('costs less than a statement a second where no work comes', () => {
    const pace = new Pace(1250);
    expect(looks(pace, 0, 3_600_000)).toBeLessThan(3600);
  });

  it('comes every ten milliseconds while work comes in, and ever more seldom after', () => {
    const pace = new Pace(1250);
    pace.active(0);
    expect(looks(pace, 0, 2000)).toBe(200);
    expect([2400, 4000, 6960, 60_000].map((nowMs) => pace.intervalMs(nowMs))).toEqual([110, 510, 1250, 1250]);
    pace.active(60_000);
    expect(pace.intervalMs(60_001)).toBe(10);
  });

  it('takes a tenth of the time at most', () => {
    expect([0, 0.1, 1, 50].map(restMs)).toEqual([5, 5, 9, 450]);
  });

  function looks(pace: Pace, fromMs: number, toMs: number): number {
    let count = 0;
    for (let nowMs = fromMs; nowMs < toMs; nowMs += pace.intervalMs(nowMs)) count += 1;
    return count;
  }
});

describe('messages', () => {
  const message = (runId: string): ControlMessage => ({ kind: 'cancel', runId });
  const idOf = (sent: ControlMessage) => ('runId' in sent ? sent.runId : '');

  it('gather while others are being sent, and fail with those that went with them', async () => {
    const sent: string[][] = [];
    const gates = [new Gate(), new Gate(), new Gate()];
    const outbox = new Outbox(async (messages) => {
      sent.push(messages.map(idOf));
      const number = sent.length;
      await gates[number - 1]?.passed;
      if (number === 2) throw new Error('no connection');
    });
    const first = [outbox.add(message('a')), outbox.add(message('b'))];
    await macrotask();
    const second = [outbox.add(message('c')), outbox.add(message('d'))];
    for (const gate of gates) gate.open();
    await Promise.all(first);
    const failures = await Promise.allSettled(second);
    expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await outbox.add(message('e'));
    expect(sent).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('are dropped, the oldest first, where a thousand wait', async () => {
    const sent: string[][] = [];
    const gate = new Gate();
    const outbox = new Outbox(async (messages) => {
      sent.push(messages.map(idOf));
      await gate.passed;
    });
    const all = [outbox.add(message('first'))];
    await macrotask();
    for (let n = 0; n < 1005; n += 1) all.push(outbox.add(message(String(n))));
    gate.open();
    await Promise.all(all);
    expect(sent.map(({ length }) => length)).toEqual([1, 1000]);
    expect(sent[1]?.at(0)).toBe('5');
  });
});
