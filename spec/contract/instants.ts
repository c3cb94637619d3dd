import { MikroOrmStateStore } from '../../lib';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

const INSTANTS: [string, string][] = [
  ['the epoch', '1970-01-01T00:00:00.000Z'],
  ['one millisecond after the epoch', '1970-01-01T00:00:00.001Z'],
  ['one millisecond before the epoch', '1969-12-31T23:59:59.999Z'],
  ['a time in milliseconds', '2026-03-01T10:00:00.723Z'],
  ['the last millisecond of a second', '2026-03-01T10:00:00.999Z'],
  ['an hour that New York skips', '2026-03-08T07:30:00.123Z'],
  ['the first pass of an hour that New York repeats', '2026-11-01T05:30:00.123Z'],
  ['the second pass of an hour that New York repeats', '2026-11-01T06:30:00.123Z'],
  ['an hour that Berlin skips', '2026-03-29T01:30:00.123Z'],
  ['a leap day', '2028-02-29T23:59:59.999Z'],
  ['the year 1', '0001-01-01T00:00:00.000Z'],
  ['the year 99', '0099-07-01T12:00:00.001Z'],
  ['the last millisecond of 9999', '9999-12-31T23:59:59.999Z'],
];

export function instants(subject: Subject): void {
  describe('instants', () => {
    it.each(INSTANTS)('keeps %s to the millisecond', async (_, iso) => {
      expect(await throughEverything(subject.store, subject.store, new Date(iso))).toEqual(Array(11).fill(iso));
    });

    needs(subject, 'database').each(INSTANTS)('reads %s alike under another time zone setting', async (_, iso) => {
      const orm = await subject.open({ timezone: '+05:30', forceUtcTimezone: false });
      const other = new MikroOrmStateStore(orm, subject.options);
      expect(await throughEverything(subject.store, other, new Date(iso))).toEqual(Array(11).fill(iso));
      expect(await throughEverything(other, subject.store, new Date(iso))).toEqual(Array(11).fill(iso));
      await orm.close(true);
    });

    ranges(subject);
    refusals(subject);
  });
}

/** Written by one store, read by another: every place that keeps an instant, as ISO text. */
async function throughEverything(writer: MikroOrmStateStore, reader: MikroOrmStateStore, at: Date): Promise<string[]> {
  const ms = at.getTime();
  const run = aRun({ status: 'suspended', wakeAt: ms, lockedUntil: ms, createdAt: at, updatedAt: at });
  await writer.createRun(run);
  const found = (await reader.getRun(run.id))!;
  const dates = { enqueuedAt: at, startedAt: at, finishedAt: at };
  await writer.saveCheckpoint(aCheckpoint({ runId: run.id, wakeAt: ms, ...dates }));
  const checkpoint = (await reader.getCheckpoint(run.id, 0))!;
  await writer.bufferEvent({ id: run.id, name: run.id, payload: 1, publishedAt: ms });
  const [event] = await reader.listBufferedEvents(run.id, 1);
  await writer.releaseRunLock(run.id);
  await writer.tryLockRun(run.id, 'me', ms, ms);
  const leased = (await reader.getRun(run.id))!;
  await writer.renewRunLock(run.id, 'me', ms);
  const renewed = (await reader.getRun(run.id))!;
  const numbers = [found.wakeAt, found.lockedUntil, checkpoint.wakeAt, event?.publishedAt];
  numbers.push(leased.lockedUntil, renewed.lockedUntil);
  expect(numbers.map((value) => typeof value)).toEqual(numbers.map(() => 'number'));
  const kept = [found.createdAt, found.updatedAt, checkpoint.enqueuedAt, checkpoint.startedAt, checkpoint.finishedAt];
  return [...numbers.map((value) => new Date(value as number)), ...kept].map((date) => (date as Date).toISOString());
}

function ranges(subject: Subject): void {
  const ranged = needs(subject, 'instantRange');
  const stored = async (wakeAt: number, namespace = freshId('ns')) => {
    const run = aRun({ status: 'suspended', wakeAt, namespace });
    await subject.store.createRun(run);
    return { ...run, found: (await subject.store.getRun(run.id))?.wakeAt as number };
  };

  ranged.each([0.0005, 1000.25, 1000.999, 1_772_359_200_123.5])(
    'rounds %p up, so that no timer is early',
    async (ms) => {
      const { id, found, namespace } = await stored(ms);
      expect(found).toBe(Math.ceil(ms));
      expect(await subject.store.listDueTimers(Math.floor(ms), namespace)).toEqual([]);
      expect(await subject.store.listDueTimers(Math.ceil(ms), namespace)).toMatchObject([{ id }]);
    },
  );

  ranged('rounds a fraction before the epoch towards it', async () => {
    expect(Object.is((await stored(-0.5)).found, 0)).toBe(true);
  });

  ranged.each([Number.POSITIVE_INFINITY, 1e300, Number.MAX_SAFE_INTEGER])(
    'clamps %p to the last instant',
    async (ms) => {
      const { found, namespace } = await stored(ms);
      expect(found).toBeGreaterThanOrEqual(Date.parse('9999-12-31T23:59:59.999Z'));
      expect(new Date(found).getTime()).toBe(found);
      expect(await subject.store.listDueTimers(Date.parse('9000-01-01T00:00:00Z'), namespace)).toEqual([]);
    },
  );

  ranged.each([Number.NEGATIVE_INFINITY, -1e300])('clamps %p to the first instant', async (ms) => {
    const { id, found, namespace } = await stored(ms);
    expect(found).toBeLessThanOrEqual(Date.parse('0001-01-01T00:00:00Z'));
    expect(await subject.store.listDueTimers(0, namespace)).toMatchObject([{ id }]);
  });

  ranged('clamps dates, leases and checkpoints too', async () => {
    const at = new Date(8.64e15);
    const run = aRun({ createdAt: at, updatedAt: new Date(-8.64e15) });
    await subject.store.createRun(run);
    expect(await subject.store.tryLockRun(run.id, 'me', Number.POSITIVE_INFINITY, 0)).toBe(true);
    expect(await subject.store.tryLockRun(run.id, 'you', 1, Date.now())).toBe(false);
    await subject.store.saveCheckpoint(aCheckpoint({ runId: run.id, wakeAt: Number.POSITIVE_INFINITY, startedAt: at }));
    expect((await subject.store.getRun(run.id))!.createdAt.getUTCFullYear()).toBeGreaterThanOrEqual(9999);
    expect((await subject.store.getRun(run.id))!.updatedAt.getTime()).toBeLessThan(Date.parse('0001-01-02T00:00:00Z'));
    expect((await subject.store.getCheckpoint(run.id, 0))!.startedAt.getUTCFullYear()).toBeGreaterThanOrEqual(9999);
  });
}

function refusals(subject: Subject): void {
  const validated = needs(subject, 'validates');

  validated.each([new Date(Number.NaN), '2026-03-01', 5, null])('refuses %p as a date', async (value) => {
    const at = value as Date;
    const facts = { name: 'DurableInputError', code: 'DURABLE_INVALID_DATE' };
    await expect(subject.store.createRun(aRun({ createdAt: at }))).rejects.toMatchObject({
      ...facts,
      field: 'run.createdAt',
    });
    const step = aCheckpoint({ finishedAt: at });
    await expect(subject.store.saveCheckpoint(step)).rejects.toMatchObject({
      ...facts,
      field: 'checkpoint.finishedAt',
    });
    expect(await subject.store.getCheckpoint(step.runId, 0)).toBeNull();
  });

  validated.each([Number.NaN, '5', new Date(5)])('refuses %p as epoch milliseconds', async (value) => {
    const ms = value as number;
    const facts = { name: 'DurableInputError', code: 'DURABLE_INVALID_NUMBER' };
    const refused = (call: Promise<unknown>, field: string) => expect(call).rejects.toMatchObject({ ...facts, field });
    await refused(subject.store.createRun(aRun({ wakeAt: ms })), 'run.wakeAt');
    await refused(subject.store.saveCheckpoint(aCheckpoint({ wakeAt: ms })), 'checkpoint.wakeAt');
    await refused(subject.store.tryLockRun('r', 'me', ms, 1), 'leaseUntilMs');
    await refused(subject.store.tryLockRun('r', 'me', 1, ms), 'nowMs');
    await refused(subject.store.renewRunLock('r', 'me', ms), 'leaseUntilMs');
    await refused(subject.store.listDueTimers(ms), 'nowMs');
    await refused(subject.store.bufferEvent({ id: 'e', name: 'n', payload: 1, publishedAt: ms }), 'event.publishedAt');
  });
}
