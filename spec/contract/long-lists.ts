import type { RunQuery } from '../../lib';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

/** SQLite takes 1,000 conditions side by side. */
const MANY = 3000;

const values = <T>(make: (n: number) => T): T[] => Array.from({ length: MANY }, (_, n) => make(n));

/** Lists of thousands in a query: an application that asks for the runs of all its orders of a day. */
export function longLists(subject: Subject): void {
  describe(`lists of ${MANY}`, () => {
    const queries: [string, Partial<RunQuery>][] = [
      ['tags', { tags: values((n) => `tag ${n}`) }],
      ['texts of an attribute', { attributes: [{ key: 'text', op: 'in', value: values((n) => `text ${n}`) }] }],
      ['numbers of an attribute', { attributes: [{ key: 'number', op: 'in', value: values((n) => n / 4) }] }],
      [
        'values of every type',
        {
          attributes: [
            { key: 'flag', op: 'in', value: values((n) => (n % 3 === 0 ? n : n % 3 === 1 ? `${n}` : n > 1500)) },
          ],
        },
      ],
      ['workflows', { workflows: values((n) => `workflow ${n}`) }],
      ['origins, the absent one included', { origins: [...values((n) => `origin ${n}`), null] }],
    ];

    needs(subject, 'laterQueries').each(queries)('find by %s what a list of one finds', async (_name, query) => {
      const namespace = freshId('ns');
      for (const n of [0, 7, MANY - 1, MANY]) {
        await subject.store.createRun(
          aRun({
            id: `${namespace}:${n}`,
            namespace,
            workflow: `workflow ${n}`,
            tags: [`tag ${n}`],
            searchAttributes: { text: `text ${n}`, number: n / 4, ...(n < MANY ? { flag: true } : {}) },
            ...(n === 0 ? {} : ({ origin: `origin ${n}` } as object)),
          }),
        );
      }
      const found = await subject.store.listRuns({ namespace, ...query });
      expect(found.map(({ id }) => id).sort()).toEqual([0, 7, MANY - 1].map((n) => `${namespace}:${n}`).sort());
    });

    it('find checkpoints by prefixes of all lengths, and no others', async () => {
      const runId = freshId();
      const names = ['p0:x', 'p0', 'P7:', 'p7:', 'p2999:😀', 'p3000:', 'é1:a', 'e1:a', '😀5:', '100%5:', '100x5:'];
      for (const [seq, name] of names.entries()) await subject.store.saveCheckpoint(aCheckpoint({ runId, seq, name }));
      const prefixes = [...values((n) => `p${n}:`), 'é1', '😀', '100%', 'p7'];
      const found = await subject.store.listCheckpointsByNamePrefix(runId, prefixes);
      expect(found.map(({ name }) => name)).toEqual(['p0:x', 'p7:', 'p2999:😀', 'é1:a', '😀5:', '100%5:']);
    });
  });
}
