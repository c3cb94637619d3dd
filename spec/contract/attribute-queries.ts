import type { AttributeFilter } from '../../lib';
import { aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

type Value = string | number | boolean;

export function attributeQueries(subject: Subject): void {
  describe('attribute queries', () => {
    byType(subject);
    numbers(subject);
    texts(subject);
    longTexts(subject);
    combined(subject);
    membership(subject);
    refusals(subject);
  });
}

/** One attribute `a` under four types, and a run without it. */
const TYPED = { number: 5, text: '5', yes: true, 'yes as text': 'true', none: undefined };

function byType(subject: Subject): void {
  const cases: [AttributeFilter['op'], Value, string[]][] = [
    ['eq', 5, ['number']],
    ['eq', '5', ['text']],
    ['ne', 5, []],
    ['ne', '5', ['yes', 'yes as text']],
    ['lt', 'z', ['text', 'yes', 'yes as text']],
    ['gt', 4, ['number']],
    ['gt', '4', ['text', 'yes', 'yes as text']],
    ['eq', true, ['yes', 'yes as text']],
    ['eq', 'true', ['yes', 'yes as text']],
    ['ne', true, ['text']],
    ['eq', false, []],
    ['gte', 5, ['number']],
    ['lte', 5, ['number']],
    ['gt', 5, []],
    ['lt', 5, []],
    ['gte', '5', ['text', 'yes', 'yes as text']],
    ['lte', '5', ['text']],
    ['ne', 6, ['number']],
  ];

  it.each(cases)('compares %s %p by the type of the value', async (op, value, expected) => {
    const find = await given(subject, TYPED);
    expect(await find({ op, value })).toEqual([...expected].sort());
  });

  it.each(['eq', 'ne', 'gt', 'gte', 'lt', 'lte'] as const)('finds nothing by %s on a key nobody has', async (op) => {
    const find = await given(subject, TYPED);
    expect(await find({ key: 'A', op, value: 5 })).toEqual([]);
    expect(await find({ key: 'b', op, value: '5' })).toEqual([]);
  });
}

function numbers(subject: Subject): void {
  const EXACT = [0.1, 200.1, 123_456_789, 1_772_359_200_123, 0, -0.5, 1e21, 2 ** 53 - 1, 0.1 + 0.2, 1.0000000000000002];

  it.each(EXACT)('finds the number %p again', async (value) => {
    const find = await given(subject, { it: value, above: value * 1.001 + 1, below: value * 0.999 - 1 });
    expect(await find({ op: 'eq', value })).toEqual(['it']);
    expect(await find({ op: 'gt', value })).toEqual(['above']);
    expect(await find({ op: 'gte', value })).toEqual(['above', 'it']);
    expect(await find({ op: 'lt', value })).toEqual(['below']);
    expect(await find({ op: 'ne', value })).toEqual(['above', 'below']);
  });

  it('tells neighbouring numbers apart', async () => {
    const find = await given(subject, { a: 0.3, b: 0.1 + 0.2, c: 2 ** 53 - 1, d: 2 ** 53 - 2 });
    expect(await find({ op: 'eq', value: 0.3 })).toEqual(['a']);
    expect(await find({ op: 'eq', value: 2 ** 53 - 1 })).toEqual(['c']);
  });

  it('orders numbers as numbers', async () => {
    const find = await given(subject, { a: 9, b: 10, c: -1, d: '100' });
    expect(await find({ op: 'gt', value: 9 })).toEqual(['b']);
    expect(await find({ op: 'lt', value: 0 })).toEqual(['c']);
  });
}

function texts(subject: Subject): void {
  const WORDS = { upper: 'Z', lower: 'a', accent: 'é', long: 'ab', empty: '', space: 'a ', quote: `'"\\?` };
  const cases: [AttributeFilter['op'], string, string[]][] = [
    ['eq', 'a', ['lower']],
    ['eq', 'A', []],
    ['eq', 'e', []],
    ['eq', '', ['empty']],
    ['eq', 'a ', ['space']],
    ['eq', `'"\\?`, ['quote']],
    ['eq', '%', []],
    ['lt', 'a', ['empty', 'quote', 'upper']],
    ['gt', 'a', ['accent', 'long', 'space']],
    ['gte', 'a', ['accent', 'long', 'lower', 'space']],
    ['gt', 'z', ['accent']],
    ['ne', '', ['accent', 'long', 'lower', 'quote', 'space', 'upper']],
  ];

  it.each(cases)('compares text exactly: %s %j', async (op, value, expected) => {
    const find = await given(subject, WORDS);
    expect(await find({ op, value })).toEqual(expected);
  });

  needs(subject, 'codePointOrder')('orders text by code point', async () => {
    const find = await given(subject, { bmp: '\uffee', emoji: '😀' });
    expect(await find({ op: 'gt', value: '\uffee' })).toEqual(['emoji']);
    expect(await find({ op: 'lt', value: '😀' })).toEqual(['bmp']);
  });
}

function longTexts(subject: Subject): void {
  it.each([188, 190, 191, 255, 3000, 70_000])('tells texts apart that differ after %i characters', async (length) => {
    const head = prose(length);
    const find = await given(subject, { a: `${head}a`, b: `${head}b`, head, c: `${head}bb` });
    expect(await find({ op: 'eq', value: `${head}b` })).toEqual(['b']);
    expect(await find({ op: 'eq', value: head })).toEqual(['head']);
    expect(await find({ op: 'ne', value: `${head}b` })).toEqual(['a', 'c', 'head']);
    expect(await find({ op: 'gt', value: `${head}a` })).toEqual(['b', 'c']);
    expect(await find({ op: 'gte', value: `${head}b` })).toEqual(['b', 'c']);
    expect(await find({ op: 'lt', value: `${head}b` })).toEqual(['a', 'head']);
    expect(await find({ op: 'lte', value: `${head}a` })).toEqual(['a', 'head']);
  });

  it('compares a long text with a short one', async () => {
    const find = await given(subject, { long: `m${prose(3000)}`, short: 'm' });
    expect(await find({ op: 'gt', value: 'm' })).toEqual(['long']);
    expect(await find({ op: 'lte', value: 'm' })).toEqual(['short']);
    expect(await find({ op: 'lt', value: 'n' })).toEqual(['long', 'short']);
  });
}

function combined(subject: Subject): void {
  it('wants every condition to hold', async () => {
    const { store } = subject;
    const namespace = freshId('ns');
    const run = (searchAttributes: Record<string, Value>) => store.createRun(aRun({ namespace, searchAttributes }));
    await run({ n: 1, city: 'Bern', vip: true });
    await run({ n: 5, city: 'Bern', vip: false });
    await run({ n: 9, city: 'Basel' });
    const count = async (...attributes: AttributeFilter[]) => (await store.listRuns({ namespace, attributes })).length;
    expect(await count({ key: 'n', op: 'gt', value: 1 }, { key: 'n', op: 'lt', value: 9 })).toBe(1);
    expect(await count({ key: 'city', op: 'eq', value: 'Bern' }, { key: 'vip', op: 'eq', value: true })).toBe(1);
    expect(await count({ key: 'city', op: 'eq', value: 'Bern' }, { key: 'n', op: 'eq', value: 9 })).toBe(0);
  });

  it('finds each run once, and pages over what it finds', async () => {
    const namespace = freshId('ns');
    for (let n = 0; n < 5; n += 1) {
      await subject.store.createRun(aRun({ namespace, searchAttributes: { a: n, b: n } }));
    }
    const attributes = [{ key: 'a', op: 'gte' as const, value: 1 }];
    expect(await subject.store.listRuns({ namespace, attributes, limit: 3 })).toHaveLength(3);
    expect(await subject.store.listRuns({ namespace, attributes, limit: 3, offset: 3 })).toHaveLength(1);
  });
}

function membership(subject: Subject): void {
  const cases: [Value[], string[]][] = [
    [[5], ['number']],
    [
      ['5', 5],
      ['number', 'text'],
    ],
    [[true], ['yes', 'yes as text']],
    [['nobody', 7], []],
    [[], []],
  ];
  needs(subject, 'laterQueries').each(cases)('finds the members of %j', async (value, expected) => {
    const find = await given(subject, TYPED);
    expect(await find({ op: 'in', value })).toEqual(expected);
  });
}

function refusals(subject: Subject): void {
  const refused: [string, unknown][] = [
    ['an unknown comparison', { op: 'like', value: 'x' }],
    ['a comparison that is SQL', { op: '= 1 or 1 =', value: 1 }],
    ['an inherited name for a comparison', { op: 'constructor', value: 1 }],
    ['an infinite number', { op: 'lt', value: Number.POSITIVE_INFINITY }],
    ['no number', { op: 'eq', value: Number.NaN }],
    ['an object', { op: 'eq', value: { a: 1 } }],
    ['null', { op: 'eq', value: null }],
    ['nothing', { op: 'eq' }],
    ['a member that is no value', { op: 'in', value: [1, null] }],
    ['members that are no list', { op: 'in', value: 'x' }],
  ];
  needs(subject, 'validates').each(refused)('refuses %s', async (_, filter) => {
    const attributes = [{ key: 'a', ...(filter as object) }] as AttributeFilter[];
    const facts = { name: 'DurableInputError', code: 'DURABLE_INVALID_QUERY' };
    await expect(subject.store.listRuns({ attributes })).rejects.toMatchObject(facts);
  });
}

/** Runs with an attribute `a`, and a query for it that answers with their names in order. */
async function given({ store }: Subject, values: Record<string, Value | undefined>) {
  const namespace = freshId('ns');
  for (const [name, a] of Object.entries(values)) {
    const searchAttributes: Record<string, Value> = a === undefined ? {} : { a };
    await store.createRun(aRun({ id: `${namespace}:${name}`, namespace, searchAttributes }));
  }
  return async (filter: { key?: string; op: string; value: unknown }): Promise<string[]> => {
    const attributes = [{ key: 'a', ...filter }] as AttributeFilter[];
    const found = await store.listRuns({ namespace, attributes });
    return found.map(({ id }) => id.slice(namespace.length + 1)).sort();
  };
}

/** Text of a length that no index compresses. */
function prose(length: number): string {
  let state = 7;
  return Array.from({ length }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(97 + (state % 26));
  }).join('');
}
