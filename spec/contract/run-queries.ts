import type { RunQuery, WorkflowRun } from '../../lib';
import { aFullRun, aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

const at = (ms: number) => new Date(Date.UTC(2026, 2, 1) + ms);

export function runQueries(subject: Subject): void {
  describe('run queries', () => {
    fields(subject);
    paging(subject);
    origins(subject);
    anyOf(subject);
  });
}

function fields(subject: Subject): void {
  it('gives whole runs', async () => {
    const run = aFullRun();
    await subject.store.createRun(run);
    expect(await subject.store.listRuns({ namespace: run.namespace })).toEqual([run]);
  });

  const cases: [string, RunQuery, string][] = [
    ['a workflow', { workflow: 'order' }, 'abe'],
    ['a status', { status: 'failed' }, 'bc'],
    ['statuses', { statuses: ['failed', 'dead'] }, 'bcd'],
    ['no statuses at all', { statuses: [] }, ''],
    ['statuses and one of them', { statuses: ['failed', 'dead'], status: 'failed' }, 'bc'],
    ['statuses and another', { statuses: ['dead'], status: 'failed' }, ''],
    ['several fields', { workflow: 'order', status: 'failed' }, 'b'],
    ['a workflow in other case', { workflow: 'Order' }, ''],
    ['empty fields, which count as absent', { workflow: '', status: '' as never, tag: '' }, 'abcde'],
    ['absent fields', { workflow: undefined, statuses: undefined, tag: undefined, attributes: undefined }, 'abcde'],
    ['no attributes', { attributes: [] }, 'abcde'],
    ['a status nobody has', { status: 'cancelled' }, ''],
  ];

  it.each(cases)('finds runs by %s', async (_, query, expected) => {
    const find = await given(subject, {
      a: { workflow: 'order', status: 'pending' },
      b: { workflow: 'order', status: 'failed' },
      c: { workflow: 'refund', status: 'failed' },
      d: { workflow: 'refund', status: 'dead' },
      e: { workflow: 'order', status: 'completed' },
    });
    expect(sorted(await find(query))).toBe(expected);
  });

  it('keeps to one namespace, the empty one included, and to none when it is undefined', async () => {
    const workflow = freshId('wf');
    for (const namespace of ['x', '', undefined]) await subject.store.createRun(aRun({ workflow, namespace }));
    const count = async (query: RunQuery) => (await subject.store.listRuns({ workflow, ...query })).length;
    expect(await count({ namespace: 'x' })).toBe(1);
    expect(await count({ namespace: '' })).toBe(1);
    expect(await count({ namespace: 'default' })).toBe(1);
    expect(await count({ namespace: undefined })).toBe(3);
    expect(await count({})).toBe(3);
  });
}

function paging(subject: Subject): void {
  const pages: [RunQuery, string][] = [
    [{}, 'edcba'],
    [{ limit: 2 }, 'ed'],
    [{ limit: 0 }, ''],
    [{ limit: 99 }, 'edcba'],
    [{ offset: 2 }, 'cba'],
    [{ offset: 0 }, 'edcba'],
    [{ offset: 9 }, ''],
    [{ limit: 2, offset: 1 }, 'dc'],
    [{ limit: 2, offset: 4 }, 'a'],
    [{ limit: 0, offset: 1 }, ''],
    [{ limit: undefined, offset: undefined }, 'edcba'],
  ];

  it.each(pages)('pages from the newest by %j', async (page, expected) => {
    const times = { b: 2, d: 4, a: 1, e: 5, c: 3 };
    const runs = Object.entries(times).map(([name, ms]) => [name, { createdAt: at(ms) }]);
    const find = await given(subject, Object.fromEntries(runs));
    expect(await find(page)).toBe(expected);
  });

  needs(subject, 'totalOrder')('gives runs of one instant in one order on every page', async () => {
    const find = await given(subject, { b: {}, d: {}, a: {}, E: {}, c: {} });
    expect(await find({})).toBe('dcbaE');
    let paged = '';
    for (let offset = 0; offset < 5; offset += 1) paged += await find({ limit: 1, offset });
    expect(paged).toBe('dcbaE');
  });
}

const ORIGINS = { a: { origin: 'billing' }, b: { origin: 'Billing' }, c: {}, d: { origin: '' } };

function origins(subject: Subject): void {
  const cases: [RunQuery['origin'], string][] = [
    ['billing', 'a'],
    ['Billing', 'b'],
    ['', 'd'],
    ['nobody', ''],
    [null, 'c'],
    [undefined, 'abcd'],
  ];
  needs(subject, 'laterQueries').each(cases)('finds runs by the origin %p', async (origin, expected) => {
    const find = await given(subject, ORIGINS);
    expect(sorted(await find({ origin }))).toBe(expected);
  });
}

function anyOf(subject: Subject): void {
  const queries: [RunQuery, string][] = [
    [{ workflows: ['order', 'ship'] }, 'ac'],
    [{ workflows: ['Order'] }, ''],
    [{ workflows: [] }, ''],
    [{ workflows: undefined }, 'abcd'],
    [{ workflows: ['order', 'refund'], status: 'failed' }, 'b'],
    [{ origins: ['billing'] }, 'a'],
    [{ origins: ['billing', null] }, 'acd'],
    [{ origins: [null] }, 'cd'],
    [{ origins: [] }, ''],
    [{ origins: ['billing', 'stock'], origin: 'stock' }, 'b'],
    [{ tags: ['red', 'blue'] }, 'abc'],
    [{ tags: ['RED'] }, ''],
    [{ tags: [] }, ''],
    [{ tags: ['red'], tag: 'blue' }, 'a'],
  ];

  needs(subject, 'laterQueries').each(queries)('finds runs by %j', async (query, expected) => {
    const find = await given(subject, {
      a: { workflow: 'order', origin: 'billing', tags: ['red', 'blue'] },
      b: { workflow: 'refund', origin: 'stock', status: 'failed', tags: ['red'] },
      c: { workflow: 'ship', tags: ['blue'] },
      d: { workflow: 'scan' },
    });
    expect(sorted(await find(query))).toBe(expected);
  });

  needs(subject, 'laterQueries')('finds runs of any of several namespaces', async () => {
    const workflow = freshId('wf');
    for (const namespace of ['x', 'y', 'X']) await subject.store.createRun(aRun({ workflow, namespace }));
    const count = async (namespaces: string[]) => (await subject.store.listRuns({ workflow, namespaces })).length;
    expect([await count(['x', 'y']), await count(['X', 'z']), await count([])]).toEqual([2, 1, 0]);
  });
}

/** Runs in a namespace of their own, and a query over them that answers with their names. */
async function given({ store }: Subject, runs: Record<string, Partial<WorkflowRun>>) {
  const namespace = freshId('ns');
  for (const [name, run] of Object.entries(runs)) {
    await store.createRun(aRun({ id: namespace + name, namespace, ...run }));
  }
  return async (query: RunQuery): Promise<string> => {
    const found = await store.listRuns({ ...query, namespace });
    return found.map(({ id }) => id.slice(namespace.length)).join('');
  };
}

function sorted(names: string): string {
  return [...names].sort().join('');
}
