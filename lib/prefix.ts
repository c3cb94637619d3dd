import type { Dialect } from './dialect';
import type { Condition } from './scope';

/** Rows whose `column` begins with `prefix`, literally: a half-open range in code point order that an index serves. */
export function startsWith(dialect: Dialect, column: string, prefix: string): Condition | undefined {
  if (prefix === '') return undefined;
  const from = `${dialect.bytewise(column)} >= ?`;
  const after = successor(prefix);
  if (after === undefined) return { text: from, params: [prefix] };
  return { text: `(${from} and ${dialect.bytewise(column)} < ?)`, params: [prefix, after] };
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
