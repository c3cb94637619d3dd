import { parseDuration } from '@dudousxd/nestjs-durable-core';
import { durationMs } from '../lib/duration';

describe('durations', () => {
  const TEXTS: [string, number][] = [
    ['250ms', 250],
    ['1s', 1000],
    ['1.5s', 1500],
    ['90m', 5_400_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['1w', 604_800_000],
    ['30 days', 2_592_000_000],
    ['1 Hour', 3_600_000],
    [' 5 min ', 300_000],
    ['3sec', 3000],
    ['0.0005s', 0.5],
    ['0d', 0],
  ];

  it.each(TEXTS)('reads %j as %d milliseconds, as the engine does', (text, ms) => {
    expect(durationMs(text, 'field')).toBe(ms);
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([0, 1, -5, 1.5, Number.POSITIVE_INFINITY])('takes the number %p for milliseconds', (ms) => {
    expect(durationMs(ms, 'field')).toBe(ms);
  });

  const NONE = [
    '',
    '5',
    's',
    '-1s',
    '+1s',
    '1mo',
    '1y',
    '1.s',
    '.5s',
    '1e3s',
    'one day',
    '1h30m',
    '5 constructor',
    Number.NaN,
  ];

  it.each(NONE)('refuses %p, naming the field and not the value', (text) => {
    const facts = { name: 'DurableInputError', code: 'DURABLE_INVALID_QUERY', field: 'policy.maxAge' };
    expect(() => durationMs(text, 'policy.maxAge')).toThrow(expect.objectContaining(facts));
  });

  it('refuses what is neither text nor number', () => {
    for (const value of [null, undefined, {}, [1]]) {
      expect(() => durationMs(value as never, 'field')).toThrow(Error);
    }
  });
});
