import type { WorkflowRun } from '../../lib';
import { sql } from '../support/databases';
import { aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

type Attributes = NonNullable<WorkflowRun['searchAttributes']>;

export function attributes(subject: Subject): void {
  describe('search attributes', () => {
    rewriting(subject);
    reading(subject);
    atomicity(subject);
  });
}

function rewriting(subject: Subject): void {
  const cases: [string, Attributes | undefined, Attributes | undefined][] = [
    ['a new value', { a: 1, b: 'x' }, { a: 2, b: 'x' }],
    ['another type', { a: 1, b: 'x' }, { a: 'one', b: 2 }],
    ['a key more', { a: 1 }, { a: 1, b: 'x' }],
    ['a key less', { a: 1, b: 'x' }, { b: 'x' }],
    ['other keys', { a: 1 }, { b: 'x', c: true }],
    ['no keys', { a: 1, b: 'x' }, {}],
    ['nothing', { a: 1, b: 'x' }, undefined],
    ['first ones', undefined, { a: 1, b: false }],
    ['what they were', { a: 1, b: 'x' }, { a: 1, b: 'x' }],
  ];

  it.each(cases)('replaces attributes by %s', async (_, before, after) => {
    const run = await stored(subject, before);
    await subject.store.updateRun(run.id, { searchAttributes: after });
    expect((await subject.store.getRun(run.id))?.searchAttributes).toEqual(after);
    expect(await indexed(subject, run, ['a', 'b', 'c'])).toEqual(after ?? {});
  });

  it('leaves attributes that the patch does not name', async () => {
    const run = await stored(subject, { a: 1 });
    await subject.store.updateRun(run.id, { status: 'running' });
    expect(await indexed(subject, run, ['a'])).toEqual({ a: 1 });
  });

  it('changes the attributes of one run only', async () => {
    const [run, other] = [await stored(subject, { a: 1 }), await stored(subject, { a: 1 })];
    await subject.store.updateRun(run.id, { searchAttributes: { a: 2 } });
    expect(await indexed(subject, other, ['a'])).toEqual({ a: 1 });
  });

  it('takes hundreds of keys', async () => {
    const many = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`key-${n}`, n % 2 ? n : `v${n}`]));
    const run = await stored(subject, many);
    expect(await indexed(subject, run, ['key-0', 'key-399'])).toEqual({ 'key-0': 'v0', 'key-399': 399 });
    await subject.store.updateRun(run.id, { searchAttributes: { ...many, 'key-7': 'seven' } });
    expect(await indexed(subject, run, ['key-7', 'key-8'])).toEqual({ 'key-7': 'seven', 'key-8': 'v8' });
  });

  it('tells keys apart that differ in case, accents or a trailing space', async () => {
    const run = await stored(subject, { key: 1, Key: 2, kéy: 3, 'key ': 4 });
    expect(await indexed(subject, run, ['key', 'Key', 'kéy', 'key '])).toEqual({ key: 1, Key: 2, kéy: 3, 'key ': 4 });
  });
}

function reading(subject: Subject): void {
  it('gives back numbers, texts and booleans as they were, in their order', async () => {
    const given = { z: 0.1, a: 'true', m: true, n: -1e21, e: '', 10: 'ten' };
    const run = await stored(subject, given);
    const found = (await subject.store.getRun(run.id))?.searchAttributes;
    expect(JSON.stringify(found)).toBe(JSON.stringify(given));
  });

  it('keeps no attributes apart from empty ones', async () => {
    expect((await subject.store.getRun((await stored(subject, {})).id))?.searchAttributes).toEqual({});
    expect((await subject.store.getRun((await stored(subject, undefined)).id))?.searchAttributes).toBeUndefined();
  });

  needs(subject, 'json')('keeps what is no value in the run, and does not search it', async () => {
    const odd = { a: 1, object: { x: 1 }, list: [1], nothing: null, nan: Number.NaN, inf: Number.POSITIVE_INFINITY };
    const run = await stored(subject, odd as unknown as Attributes);
    const kept = { a: 1, object: { x: 1 }, list: [1], nothing: null, nan: null, inf: null };
    expect((await subject.store.getRun(run.id))?.searchAttributes).toEqual(kept);
    expect(await rows(subject, run.id)).toEqual(['a']);
    await subject.store.updateRun(run.id, { searchAttributes: { ...odd, b: 2 } as unknown as Attributes });
    expect(await rows(subject, run.id)).toEqual(['a', 'b']);
  });
}

function atomicity(subject: Subject): void {
  needs(subject, 'database')('creates no run whose attributes cannot be written', async () => {
    const run = aRun({ searchAttributes: { a: 1, b: 2 } });
    await orphanRow(subject, run.id, 'b');
    await expect(subject.store.createRun(run)).rejects.toMatchObject({ code: 'DURABLE_DATABASE_ERROR' });
    expect(await subject.store.getRun(run.id)).toBeNull();
    expect(await rows(subject, run.id)).toEqual(['b']);
  });

  needs(subject, 'validates')('changes nothing when an attribute is refused', async () => {
    const run = await stored(subject, { a: 1 });
    const patch = { status: 'running' as const, searchAttributes: { a: 2, ['x'.repeat(256)]: 1 } };
    await expect(subject.store.updateRun(run.id, patch)).rejects.toMatchObject({ code: 'DURABLE_VALUE_TOO_LONG' });
    expect(await subject.store.getRun(run.id)).toMatchObject({ status: 'pending', searchAttributes: { a: 1 } });
    expect(await indexed(subject, run, ['a'])).toEqual({ a: 1 });
  });

  it('writes no attributes for a run that is missing', async () => {
    const run = aRun({ namespace: freshId('ns') });
    await expect(subject.store.updateRun(run.id, { searchAttributes: { a: 1 } })).rejects.toThrow('not found');
    await subject.store.createRun(run);
    expect(await indexed(subject, run, ['a'])).toEqual({});
  });
}

async function stored({ store }: Subject, searchAttributes: Attributes | undefined): Promise<WorkflowRun> {
  const run = aRun({ namespace: freshId('ns'), searchAttributes });
  await store.createRun(run);
  return run;
}

/** What queries see of a run's attributes, asked by every value a case may have given them. */
async function indexed({ store }: Subject, run: WorkflowRun, keys: string[]): Promise<Attributes> {
  const found: Attributes = {};
  const kept = [1, 2, 3, 4, 399, 'x', 'one', 'seven', 'v0', 'v8', true, false];
  for (const key of keys) {
    for (const value of kept) {
      const query = { namespace: run.namespace, attributes: [{ key, op: 'eq' as const, value }] };
      if ((await store.listRuns(query)).length > 0) found[key] = value;
    }
  }
  return found;
}

/** The keys in the side table. */
async function rows({ orm }: Subject, runId: string): Promise<string[]> {
  const column = sql(orm).getPlatform().quoteIdentifier('key');
  const text = `select ${column} as name from durable_run_attributes where run_id = ? order by ${column}`;
  return (await sql(orm).execute<{ name: string }[]>(text, [runId])).map(({ name }) => name);
}

/** A row nobody should have left behind, which an insert runs into. */
async function orphanRow({ orm }: Subject, runId: string, key: string): Promise<void> {
  const column = sql(orm).getPlatform().quoteIdentifier('key');
  const text = `insert into durable_run_attributes (run_id, ${column}, str_value) values (?, ?, 'orphan')`;
  await sql(orm).execute(text, [runId, key], 'run');
}
