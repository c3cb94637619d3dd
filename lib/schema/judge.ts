import type { EntityProperty } from '@mikro-orm/core';
import {
  DoubleType,
  EpochMsType,
  InstantType,
  IntegerType,
  KeyType,
  PayloadType,
  SerialType,
  TagsType,
  TextType,
} from '../../schemas/columns';
import type { Database } from '../../schemas/database';
import type { FoundColumn } from './inspect';

/** What is to say of an existing column: `note` works with a loss, `refuse` cannot work. */
export interface Verdict {
  readonly level: 'note' | 'refuse';
  readonly reason: string;
}

const note = (reason: string): Verdict => ({ level: 'note', reason });
const refuse = (reason: string): Verdict => ({ level: 'refuse', reason });

/** Judge a column some other hand made by what the store needs of it; `undefined` is fine. */
export function judge(property: EntityProperty, column: FoundColumn, database: Database): Verdict | undefined {
  const type = property.customType;
  if (type instanceof InstantType || type instanceof EpochMsType) return judgeInstant(column.type, database);
  if (type instanceof TagsType) return judgeTags(column.type, database);
  if (type instanceof PayloadType) return judgePayload(column, database);
  if (type instanceof DoubleType) return judgeDouble(column.type, database);
  if (type instanceof SerialType || type instanceof IntegerType) return judgeInteger(column.type, database);
  if (type instanceof KeyType || type instanceof TextType) return judgeText(property, column, database);
  return undefined;
}

function judgeInstant(type: string, database: Database): Verdict | undefined {
  if (database === 'sqlite') {
    return /char|clob|text|blob/.test(type)
      ? refuse('keeps times as text, which compares wrongly with numbers')
      : undefined;
  }
  const precision = Number(/\((\d)\)/.exec(type)?.[1] ?? (database === 'postgresql' ? 6 : 0));
  const isInstant = database === 'postgresql' ? /^timestamp.* with time zone$/.test(type) : /^datetime/.test(type);
  if (!isInstant) return refuse('is no UTC instant');
  return precision < 3 ? refuse('drops the milliseconds that leases and order depend on') : undefined;
}

function judgeTags(type: string, database: Database): Verdict | undefined {
  if (database !== 'postgresql' || type === 'jsonb') return undefined;
  return refuse('cannot be searched by element');
}

function judgePayload({ type, collation }: FoundColumn, database: Database): Verdict | undefined {
  if (database === 'postgresql') {
    if (type === 'jsonb') return note('reorders object keys, and refuses NUL characters and lone surrogates');
    return /^(json|text|character varying)$/.test(type) ? undefined : refuse('cannot hold JSON text');
  }
  if (database === 'mysql') {
    if (/^(text|tinytext|mediumtext|varchar)/.test(type)) return note('limits the size of payloads');
    if (type === 'json') return note('reorders object keys, and refuses lone surrogates');
    if (collation && !collation.startsWith('utf8mb4')) return refuse('cannot hold all of Unicode');
  }
  return undefined;
}

function judgeDouble(type: string, database: Database): Verdict | undefined {
  if (database === 'postgresql')
    return type === 'double precision' ? undefined : refuse('does not hold 64-bit numbers');
  if (database === 'mysql') return /^double/.test(type) ? undefined : refuse('does not hold 64-bit numbers');
  return undefined;
}

function judgeInteger(type: string, database: Database): Verdict | undefined {
  if (!/int|serial/.test(type) || /smallint|tinyint|mediumint/.test(type))
    return refuse('does not hold 32-bit integers');
  if (database === 'mysql' && /unsigned/.test(type))
    return refuse('holds no negative numbers, which compensations need');
  return undefined;
}

function judgeText(
  property: EntityProperty,
  { type, collation, isInexact }: FoundColumn,
  database: Database,
): Verdict | undefined {
  if (database === 'sqlite' && !/char|clob|text/.test(type)) {
    return refuse('turns ids that look like numbers into numbers');
  }
  if (database === 'postgresql' && !/^(text|character varying(\(\d+\))?)$/.test(type)) {
    return refuse('is no text that is compared exactly');
  }
  if (database === 'mysql' && !/char|text/.test(type)) return refuse('is no text');
  if (isInexact || (database === 'mysql' && !/^utf8mb4_(0900|nopad|.*_nopad)_bin$/.test(collation))) {
    return refuse(`compares with collation ${collation}, which takes different keys for one`);
  }
  if (database === 'sqlite') return undefined;
  if (database === 'postgresql' && collation !== 'C')
    return note('is not in collation "C", so prefix and order scans cannot use an index');
  return judgeWidth(property, type);
}

function judgeWidth(property: EntityProperty, type: string): Verdict | undefined {
  const width = Number(/\((\d+)\)/.exec(type)?.[1] ?? Number.POSITIVE_INFINITY);
  const wanted = property.customType instanceof KeyType ? property.customType.width : 0;
  return width < wanted ? note(`holds ${width} characters of up to ${wanted}; longer ones fail`) : undefined;
}
