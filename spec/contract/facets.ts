import type { RunFacet, RunFacetQuery } from '../../lib';
import { aRun, freshId } from '../support/fixtures';
import { groupNeeds, type Subject } from './subject';

export function facets(subject: Subject): void {
  groupNeeds(subject, 'facets')('facets', () => {
    it('counts runs by status and origin, and names no empty cell', async () => {
      const count = await given(subject, [
        ['failed', 'billing'],
        ['failed', 'billing'],
        ['failed', 'Billing'],
        ['failed', undefined],
        ['completed', 'billing'],
      ]);
      expect(await count({})).toEqual([
        { status: 'completed', origin: 'billing', count: 1 },
        { status: 'failed', origin: 'Billing', count: 1 },
        { status: 'failed', origin: 'billing', count: 2 },
        { status: 'failed', origin: null, count: 1 },
      ]);
    });

    it.each(['', ' ', '\t\n', '\u00a0'])('takes the blank origin %j for none', async (origin) => {
      const count = await given(subject, [
        ['failed', origin],
        ['failed', undefined],
        ['dead', origin],
      ]);
      expect(await count({})).toEqual([
        { status: 'dead', origin: null, count: 1 },
        { status: 'failed', origin: null, count: 2 },
      ]);
    });

    it('counts what the query matches', async () => {
      const count = await given(subject, [
        ['failed', 'a'],
        ['failed', 'b'],
        ['dead', 'a'],
      ]);
      expect(await count({ tag: 'run-0' })).toEqual([{ status: 'failed', origin: 'a', count: 1 }]);
      expect(await count({ attributes: [{ key: 'n', op: 'gte', value: 1 }] })).toEqual([
        { status: 'dead', origin: 'a', count: 1 },
        { status: 'failed', origin: 'b', count: 1 },
      ]);
      expect(await count({ workflow: 'nobody' })).toEqual([]);
      expect(await count({ workflows: [] })).toEqual([]);
    });

    it('counts every run without a query', async () => {
      await subject.clear();
      await given(subject, [
        ['failed', 'a'],
        ['failed', 'a'],
      ]);
      expect(await subject.store.runFacets()).toEqual([{ status: 'failed', origin: 'a', count: 2 }]);
    });
  });
}

async function given(
  { store }: Subject,
  runs: [status: 'failed' | 'completed' | 'dead', origin: string | undefined][],
) {
  const namespace = freshId('ns');
  for (const [n, [status, origin]] of runs.entries()) {
    await store.createRun(aRun({ namespace, status, origin, tags: [`run-${n}`], searchAttributes: { n } }));
  }
  return async (query: RunFacetQuery): Promise<RunFacet[]> => {
    const cells = await store.runFacets({ ...query, namespace });
    const order = ({ status, origin }: RunFacet) => `${status} ${origin ?? '~'}`;
    return cells.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  };
}
