import { sql } from '../support/databases';
import { freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

export function bufferedSignals(subject: Subject): void {
  describe('buffered signals', () => {
    it('gives signals in the order they came, each once', async () => {
      const token = freshId('t');
      for (const payload of [3, 1, 2]) await subject.store.bufferSignal(token, payload);
      const taken = [];
      for (let n = 0; n < 4; n += 1) taken.push(await subject.store.takeBufferedSignal(token));
      expect(taken).toEqual([{ payload: 3 }, { payload: 1 }, { payload: 2 }, null]);
    });

    it('keeps the order when taking and buffering alternate', async () => {
      const token = freshId('t');
      await subject.store.bufferSignal(token, 1);
      await subject.store.bufferSignal(token, 2);
      expect(await subject.store.takeBufferedSignal(token)).toEqual({ payload: 1 });
      await subject.store.bufferSignal(token, 3);
      expect(await subject.store.takeBufferedSignal(token)).toEqual({ payload: 2 });
      expect(await subject.store.takeBufferedSignal(token)).toEqual({ payload: 3 });
    });

    it('keeps equal signals apart', async () => {
      const token = freshId('t');
      await subject.store.bufferSignal(token, 'same');
      await subject.store.bufferSignal(token, 'same');
      expect(await subject.store.takeBufferedSignal(token)).toEqual({ payload: 'same' });
      expect(await subject.store.takeBufferedSignal(token)).toEqual({ payload: 'same' });
      expect(await subject.store.takeBufferedSignal(token)).toBeNull();
    });

    it('gives the signals of one token only', async () => {
      const token = freshId('t');
      await subject.store.bufferSignal(`${token}:other`, 1);
      expect(await subject.store.takeBufferedSignal(token)).toBeNull();
    });

    // Takers choose a signal by its number and remove it by that: a number used again would be somebody else's signal.
    needs(subject, 'database')('never numbers a signal like one that is gone', async () => {
      const token = freshId('t');
      const numbers: number[] = [];
      for (let n = 0; n < 3; n += 1) {
        await subject.store.bufferSignal(token, n);
        const [row] = await sql(subject.orm).execute('select max(id) as id from durable_buffered_signals');
        numbers.push(Number(row?.id));
        await subject.store.takeBufferedSignal(token);
      }
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    });

    besideEvents(subject);
  });
}

function besideEvents(subject: Subject): void {
  it('never gives an event for a signal, whatever token asks', async () => {
    const name = freshId('e');
    await subject.store.bufferEvent({ id: freshId(), name, payload: 1, publishedAt: 1 });
    for (const token of [name, `event:${name}`, `\u0001event:${name}`, '']) {
      expect([token, await subject.store.takeBufferedSignal(token)]).toEqual([token, null]);
    }
    expect(await subject.store.listBufferedEvents(name, 9)).toHaveLength(1);
  });

  it('never lists a signal among the events', async () => {
    const name = freshId('e');
    await subject.store.bufferSignal(name, 1);
    await subject.store.bufferSignal(`event:${name}`, 2);
    expect(await subject.store.listBufferedEvents(name, 9)).toEqual([]);
    expect(await subject.store.listBufferedEvents(`event:${name}`, 9)).toEqual([]);
  });

  it('keeps a signal and an event of one name', async () => {
    const name = freshId('e');
    await subject.store.bufferEvent({ id: name, name, payload: 'event', publishedAt: 1 });
    await subject.store.bufferSignal(name, 'signal');
    expect(await subject.store.takeBufferedSignal(name)).toEqual({ payload: 'signal' });
    expect(await subject.store.listBufferedEvents(name, 9)).toMatchObject([{ payload: 'event' }]);
    expect(await subject.store.takeBufferedSignal(name)).toBeNull();
  });

  needs(subject, 'database')('keeps events under tokens that a store without events never asks for', async () => {
    const name = freshId('e');
    await subject.store.bufferEvent({ id: name, name, payload: 1, publishedAt: 1 });
    const byName = 'select 1 from durable_buffered_signals where token = ?';
    expect(await sql(subject.orm).execute(byName, [name])).toEqual([]);
  });

  needs(subject, 'validates')('refuses a signal token that would pass for an event', async () => {
    const token = `\u0001event:${freshId()}`;
    const facts = { name: 'DurableInputError', code: 'DURABLE_INVALID_TEXT' };
    await expect(subject.store.bufferSignal(token, 1)).rejects.toMatchObject({ ...facts, field: 'signal.token' });
    const waiter = { token, runId: 'r', seq: 1 };
    await expect(subject.store.putSignalWaiter(waiter)).rejects.toMatchObject({ ...facts, field: 'waiter.token' });
  });
}
