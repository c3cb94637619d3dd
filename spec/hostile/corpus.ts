import { ENTITIES } from '../../lib';
import type { SqlEm } from '../support/databases';

/** Strings that leave a literal, end a statement, stand for a parameter or match more than themselves. */
export const CORPUS = [
  "'; drop table host_orders; --",
  "' or '1'='1",
  "\\' or 1=1 -- ",
  "\\'; delete from durable_workflow_runs; #",
  '" or ""="',
  '`; drop table host_orders; #',
  '?',
  '??',
  ':name',
  '$1',
  '\\?',
  '%',
  '_',
  '\\',
  '\\\\',
  '[a-z]*',
  '/* x */',
  "*/ ' --",
  '\u00bf\u0027; drop table host_orders; --',
  '\u0001\u001a\b\n\r\t',
  "'||(select 1)||'",
  '{{7*7}}#{1+1}',
  '","x":"y',
  '["tag"]',
  '$[*]',
  '__proto__',
  ' returning id',
  "e'\\x27'",
  '$$; drop table host_orders; $$',
  '\ufeff\u202eabc',
] as const;

/** What a store that compares, unescapes or expands carelessly takes for `word`. */
export function twins(word: string): string[] {
  const similar = [
    `${word} `,
    ` ${word}`,
    word.toUpperCase(),
    word.replaceAll("'", "''"),
    word.replaceAll('\\', ''),
    word.replaceAll('\\', '\\\\'),
    word.replaceAll('%', 'x').replaceAll('_', 'x').replaceAll('?', 'x'),
    '%',
    `${word}%`,
    "x' or '1'='1",
  ];
  return [...new Set(similar)].filter((twin) => twin !== word && twin !== '');
}

/** The tables are all there, and the host's row is as it was. */
export async function intact(em: SqlEm): Promise<void> {
  expect(await em.execute('select id, total from host_orders')).toEqual([{ id: 'theirs', total: 7 }]);
  for (const { meta } of ENTITIES) await em.execute(`select count(*) as n from ${meta.tableName}`);
}
