import type { Database } from '../schemas/database';
import { decodeInstant, encodeInstant, storableMs } from '../schemas/instants';

const DATABASES: Database[] = ['sqlite', 'postgresql', 'mysql'];
const LAST_OF_9999 = Date.parse('9999-12-31T23:59:59.999Z');
const FIRST_OF_1 = Date.parse('0001-01-01T00:00:00.000Z');

describe.each(DATABASES)('instants on %s', (database) => {
  it.each([0, 1, -1, 1_772_359_200_123, -86_400_001, FIRST_OF_1, Date.parse('0099-02-28T23:59:59.999Z'), LAST_OF_9999])(
    'come back as they went: %d',
    (ms) => {
      expect(decodeInstant(encodeInstant(ms, database))).toBe(ms);
    },
  );

  it('come back for every day of a leap year and every hour of a day', () => {
    for (let day = 0; day < 366; day += 1) {
      const ms = Date.UTC(2028, 0, 1 + day, day % 24, day % 60, 59, day);
      expect(decodeInstant(encodeInstant(ms, database))).toBe(ms);
    }
  });

  it.each([
    [0.1, 1],
    [1000.0001, 1001],
    [-0.5, 0],
    [-1.5, -1],
    [5, 5],
  ])('round %d up to %d', (ms, expected) => {
    expect(Object.is(storableMs(ms, database), expected)).toBe(true);
  });

  it('are clamped to what the column holds', () => {
    const last = database === 'mysql' ? LAST_OF_9999 : 8.64e15;
    const first = database === 'sqlite' ? -8.64e15 : FIRST_OF_1;
    for (const ms of [Number.POSITIVE_INFINITY, 1e300, 8.64e15]) expect(storableMs(ms, database)).toBe(last);
    for (const ms of [Number.NEGATIVE_INFINITY, -1e300, -8.64e15]) expect(storableMs(ms, database)).toBe(first);
    for (const ms of [first, last]) expect(decodeInstant(encodeInstant(ms, database))).toBe(ms);
  });

  it('keep their order as text', () => {
    const times = [FIRST_OF_1, -1, 0, 1, 999, 1000, 1_772_359_200_123, LAST_OF_9999];
    const encoded = times.map((ms) => encodeInstant(ms, database));
    expect([...encoded].sort((a, b) => (a < b ? -1 : 1))).toEqual(encoded);
  });
});

describe('instants as parameters', () => {
  const ms = Date.parse('2026-03-08T07:30:00.045Z');

  it('are UTC whatever the time zone of the process', () => {
    expect(encodeInstant(ms, 'sqlite')).toBe(ms);
    expect(encodeInstant(ms, 'postgresql')).toBe('2026-03-08 07:30:00.045+00');
    expect(encodeInstant(ms, 'mysql')).toBe('2026-03-08 07:30:00.045');
  });

  it('write years of any length', () => {
    expect(encodeInstant(FIRST_OF_1, 'mysql')).toBe('0001-01-01 00:00:00.000');
    expect(encodeInstant(Number.POSITIVE_INFINITY, 'postgresql')).toBe('275760-09-13 00:00:00.000+00');
  });
});

describe('instants as drivers give them', () => {
  const ms = Date.parse('2026-03-08T07:30:00.045Z');
  const FORMS: [string, unknown][] = [
    ['a number', ms],
    ['a Date', new Date(ms)],
    ['digits', String(ms)],
    ['MySQL text', '2026-03-08 07:30:00.045'],
    ['microseconds', '2026-03-08 07:30:00.045000'],
    ['PostgreSQL text', '2026-03-08 07:30:00.045+00'],
    ['an offset', '2026-03-08 13:00:00.045+05:30'],
    ['a negative offset', '2026-03-08T02:30:00.045-0500'],
    ['ISO text', '2026-03-08T07:30:00.045Z'],
  ];

  it.each(FORMS)('are read from %s', (_, raw) => {
    expect(decodeInstant(raw)).toBe(ms);
  });

  it('are read without a fraction, or with a part of one', () => {
    expect(decodeInstant('2026-03-08 07:30:00')).toBe(ms - 45);
    expect(decodeInstant('2026-03-08 07:30:00.1')).toBe(ms + 55);
  });
});
