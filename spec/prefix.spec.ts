import { successor } from '../lib/prefix';

/** Order by code point, as the databases compare. */
function byCodePoint(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => Array.from(text, (character) => character.codePointAt(0) as number)) as [
    number[],
    number[],
  ];
  for (let n = 0; n < Math.min(left.length, right.length); n += 1) {
    const difference = (left[n] as number) - (right[n] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

describe('the text after a prefix', () => {
  const CASES: [string, string | undefined][] = [
    ['a', 'b'],
    ['az', 'a{'],
    ['event:', 'event;'],
    ['%', '&'],
    ['é', 'ê'],
    ['😀', '😁'],
    ['a\ud7ff', 'a\ue000'],
    ['\uffff', '\u{10000}'],
    ['a\u{10ffff}', 'b'],
    ['a\u{10ffff}\u{10ffff}', 'b'],
    ['\u{10ffff}', undefined],
    ['', undefined],
  ];

  it.each(CASES)('after %j comes %j', (prefix, expected) => {
    expect(successor(prefix)).toBe(expected);
  });

  it('comes after everything that begins with the prefix, and before everything else that is greater', () => {
    for (const [prefix, after] of CASES) {
      if (after === undefined) continue;
      for (const tail of ['', 'a', '\u0001', '\uffff', '\u{10ffff}'.repeat(5)]) {
        expect(byCodePoint(prefix + tail, after)).toBeLessThan(0);
      }
      expect(after.startsWith(prefix)).toBe(false);
      expect(after).not.toMatch(/\p{Surrogate}/u);
    }
  });
});

it('takes a prefix of any length', () => {
  const long = 'x'.repeat(500_000);
  expect(successor(`${long}a`)).toBe(`${long}b`);
});
