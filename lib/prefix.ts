import type { Dialect } from './dialect';
import { any, type Condition } from './scope';
import { repeated } from './texts';

/** Rows whose `column` begins with `prefix`, literally: a half-open range in code point order that an index serves. */
export function startsWith(dialect: Dialect, column: string, prefix: string): Condition | undefined {
  if (prefix === '') return undefined;
  const from = `${dialect.bytewise(column)} >= ?`;
  const after = successor(prefix);
  if (after === undefined) return { text: from, params: [prefix] };
  return { text: `(${from} and ${dialect.bytewise(column)} < ?)`, params: [prefix, after] };
}

/** More ranges than this are more than a planner weighs in reasonable time: SQLite takes half a minute for 20,000. */
const MOST_RANGES = 100;

/** Rows whose `column` begins with any of `prefixes`: a range each, or, of very many, one list for each length. */
export function startsWithAny(dialect: Dialect, column: string, prefixes: readonly string[]): Condition {
  if (prefixes.includes('')) return { text: '1 = 1', params: [] };
  if (prefixes.length <= MOST_RANGES) {
    return any(prefixes.map((prefix) => startsWith(dialect, column, prefix) as Condition));
  }
  const byLength = new Map<number, string[]>();
  for (const prefix of prefixes) {
    const length = [...prefix].length;
    const list = byLength.get(length);
    if (list) list.push(prefix);
    else byLength.set(length, [prefix]);
  }
  const lists = [...byLength].map(([length, list]) => ({
    text: `${dialect.bytewise(`substr(${column}, 1, ${length})`)} in (${repeated('?', list.length)})`,
    params: list,
  }));
  return any(lists);
}

const LAST_CODE_POINT = 0x10ffff;
const BEFORE_SURROGATES = 0xd7ff;
const AFTER_SURROGATES = 0xe000;

/** The first text after everything that begins with `prefix`; `undefined` when nothing comes after. */
export function successor(prefix: string): string | undefined {
  let head = prefix;
  while (lastCodePoint(head) === LAST_CODE_POINT) head = head.slice(0, -2);
  const last = lastCodePoint(head);
  if (last === undefined) return undefined;
  const next = last === BEFORE_SURROGATES ? AFTER_SURROGATES : last + 1;
  return head.slice(0, -String.fromCodePoint(last).length) + String.fromCodePoint(next);
}

function lastCodePoint(text: string): number | undefined {
  const before = text.codePointAt(text.length - 2);
  return before !== undefined && before > 0xffff ? before : text.codePointAt(text.length - 1);
}
