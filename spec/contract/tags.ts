import { aRun, freshId } from '../support/fixtures';
import type { Subject } from './subject';

const TAGS = [
  'red',
  'Red',
  'singleton:user_1',
  'singleton:userX1',
  '100%',
  '100x',
  'say "hi"',
  'back\\slash',
  '\\',
  "it's",
  'é',
  'e',
  'e\u0301',
  'tail ',
  'tail',
  '😀',
  '["red"]',
  'red","blue',
  '1',
  'null',
  '$.a',
  '?',
  'a/b',
];

export function tags(subject: Subject): void {
  describe('tags', () => {
    it.each(TAGS.map((tag) => [JSON.stringify(tag), tag]))('finds the runs tagged %s and no others', async (_, tag) => {
      const namespace = freshId('ns');
      for (const [n, other] of TAGS.entries()) {
        await subject.store.createRun(aRun({ id: `${namespace}${n}`, namespace, tags: ['first', other] }));
      }
      await subject.store.createRun(aRun({ namespace }));
      await subject.store.createRun(aRun({ namespace, tags: [] }));
      const found = await subject.store.listRuns({ namespace, tag });
      expect(found.map(({ tags: kept }) => kept)).toEqual([['first', tag]]);
    });

    it('finds a run by each of its tags', async () => {
      const run = aRun({ namespace: freshId('ns'), tags: TAGS });
      await subject.store.createRun(run);
      for (const tag of TAGS) {
        expect(await subject.store.listRuns({ namespace: run.namespace, tag })).toMatchObject([{ tags: TAGS }]);
      }
    });

    it('does not find a run by a part of a tag, or by all of them', async () => {
      const run = aRun({ namespace: freshId('ns'), tags: ['alpha', 'beta'] });
      await subject.store.createRun(run);
      for (const tag of ['alph', 'lpha', 'alpha,beta', '["alpha","beta"]', 'alpha", "beta', '%', '_____', '[', '"']) {
        expect([tag, await subject.store.listRuns({ namespace: run.namespace, tag })]).toEqual([tag, []]);
      }
    });

    it('follows a change of tags', async () => {
      const run = aRun({ namespace: freshId('ns'), tags: ['old'] });
      await subject.store.createRun(run);
      await subject.store.updateRun(run.id, { tags: ['new'] });
      const found = async (tag: string) => (await subject.store.listRuns({ namespace: run.namespace, tag })).length;
      expect([await found('old'), await found('new')]).toEqual([0, 1]);
      await subject.store.updateRun(run.id, { tags: undefined });
      expect(await found('new')).toBe(0);
    });

    it('keeps many tags in their order, repeated ones too', async () => {
      const many = Array.from({ length: 500 }, (_, n) => `tag-${499 - n}`).concat('tag-7');
      const run = aRun({ namespace: freshId('ns'), tags: many });
      await subject.store.createRun(run);
      expect(await subject.store.listRuns({ namespace: run.namespace, tag: 'tag-7' })).toMatchObject([{ tags: many }]);
    });
  });
}
