import fc from 'fast-check';

/** Pieces of text that have broken stores: SQL and its placeholders, patterns, case and accent pairs, what drivers parse. */
const PIECES = [
  ...["'", '"', '`', '\\', '?', '??', ':a', '%', '_', '$1', '--', ';', '/*', '*/', '#', ' returning ', 'null', '0'],
  ...[
    'a',
    'A',
    'b',
    'é',
    'e\u0301',
    'É',
    'ß',
    'ss',
    'İ',
    'ı',
    'ł',
    'Å',
    '\u212b',
    '日本',
    '😀',
    '\u{10ffff}',
    '\uffff',
  ],
  ...[' ', '\t', '\n', '\r\n', '\u00a0', '\u200b', '\u2028', '\u0001', '\u001a', '\u007f', '\ue000', '\ud7ff'],
  ...['__proto__', 'constructor', 'toString', '{}', '[]', '{"a":1}', 'child:', 'event:', '\u0001event:', "' or '1'='1"],
];

/** Text that no key column can hold. */
const REFUSED = ['\u0000', 'a\u0000b', '\ud800', 'x\udc00', 'x'.repeat(800), 'é'.repeat(801), '😀'.repeat(400)];

const MEBIBYTE = `'"\\?é😀`.repeat(150_000).slice(0, 2 ** 20);

const piece = fc.constantFrom(...PIECES);
const text = fc.array(piece, { maxLength: 3 }).map((pieces) => pieces.join(''));

/** A text and its relatives: what a sloppy comparison takes for the same. */
const family = fc
  .tuple(text, piece)
  .map(([word, extra]) => [
    word,
    word.toUpperCase(),
    word.toLowerCase(),
    `${word} `,
    ` ${word}`,
    word.normalize('NFD'),
    word.normalize('NFD').replace(/\p{M}/gu, ''),
    word.replace(/./u, '_'),
    word.replace(/./u, '%'),
    word + extra,
    `${word}\\`,
  ]);

/** Whether UTF-8 can hold a text: it has no lone surrogates. */
export function isWellFormed(word: string): boolean {
  return !/\p{Surrogate}/u.test(word);
}

/** The few words that a sequence uses for everything, so that they meet. */
export const vocabulary: fc.Arbitrary<string[]> = fc
  .tuple(
    family.chain((members) => fc.shuffledSubarray(members, { minLength: 4, maxLength: 4 })),
    text,
  )
  .map(([members, other]) => [...members, other, 'default'])
  .filter((words) => words.every(isWellFormed));

/** A word of the vocabulary, and seldom something that has to be refused. */
export function key(words: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 60, arbitrary: fc.constantFrom(...words) },
    { weight: 1, arbitrary: fc.constantFrom(...REFUSED) },
  );
}

/** The beginning of a word. */
export function prefix(words: readonly string[]): fc.Arbitrary<string> {
  return fc.tuple(key(words), fc.nat(4)).map(([word, length]) => Array.from(word).slice(0, length).join(''));
}

const NUMBERS = [0, -0, 1, -1, 0.1, 200.1, 123_456_789, 2 ** 53, -(2 ** 53) - 2, 1e21, 1e308, 5e-324, 1.5e-7];

/** Finite numbers, where single precision and integer columns go wrong. */
export const number: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(...NUMBERS),
  fc.integer({ min: -3, max: 3 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

const DAY = 1_772_359_200_123;

/** Epoch milliseconds: close together, fractional, at and beyond every column's range. */
export const instant: fc.Arbitrary<number> = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 4 }).map((n) => DAY + n) },
  { weight: 3, arbitrary: fc.constantFrom(DAY + 0.5, DAY + 1.001, 0.0005, -0.5, 0, -0, -1, 1) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 8.64e15, -8.64e15, 1e300),
  },
  { weight: 1, arbitrary: fc.constantFrom(253_402_300_799_999, 253_402_300_800_000, -62_135_596_800_001, Number.NaN) },
);

export const date: fc.Arbitrary<Date> = instant.map((ms) => new Date(ms));

const payloadText = fc.oneof(
  { weight: 40, arbitrary: text },
  { weight: 4, arbitrary: fc.constantFrom('\u0000', '\ud800', 'x\udfff"', '\\u0000', '\u001f') },
);

const leaf: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 5, arbitrary: payloadText },
  { weight: 3, arbitrary: fc.oneof(number, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY)) },
  { weight: 3, arbitrary: fc.constantFrom(null, undefined, true, false, '', [], {}, new Date(DAY)) },
);

const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small', maxDepth: 3 }, leaf, tie('array'), tie('object')),
  array: fc.array(tie('value'), { maxLength: 3 }),
  object: fc.array(fc.tuple(payloadText, tie('value')), { maxLength: 3 }).map(ownEntries),
}));

/** Anything a workflow may hand over, what JSON cannot say included. */
export const payload: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 300, arbitrary: value as fc.Arbitrary<unknown> },
  { weight: 1, arbitrary: fc.constant(MEBIBYTE) },
  { weight: 1, arbitrary: fc.constantFrom(1n, { deep: [1n] }) },
);

/** An object with exactly these keys of its own, `__proto__` included. */
export function ownEntries(entries: readonly (readonly [string, unknown])[]): object {
  const made = {};
  for (const [name, entry] of entries) {
    Object.defineProperty(made, name, { value: entry, enumerable: true, configurable: true, writable: true });
  }
  return made;
}
