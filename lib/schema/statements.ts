import type { Platform } from '@mikro-orm/core';
import { isMariaDbByMySqlDriver, MYSQL_COLLATIONS, type MySqlCollation, tagsAsText } from '../../schemas/columns';
import type { Database } from '../../schemas/database';

/**
 * MikroORM's DDL in the form the schema function runs it: only statements that add to our tables, each in the words that
 * the real server wants.
 */
export function shaped(
  statements: readonly string[],
  tables: readonly string[],
  platform: Platform,
  { database, collation }: { database: Database; collation?: MySqlCollation | undefined },
): string[] {
  const own = statements.filter((text) => isAddition(text, tables));
  switch (database) {
    case 'postgresql':
      return own;
    // The tables are in `main` or nowhere, and an index may not name the schema of its table.
    case 'sqlite':
      return own.map((text) => text.replaceAll('`main`.', ''));
    case 'mysql':
      return folded(own).map((text) => forServer(storedDynamically(text), platform, collation));
  }
}

const ADDS =
  /^(create schema |create (?:unique )?index |create table |alter table \S+ add (?!constraint \S+ foreign)|set names )/i;
const TAKES = /\b(drop|rename|modify|change|truncate|delete|update) /i;

/**
 * Nothing else comes out of a generator that compares our tables with our tables; if a later MikroORM reads the entities
 * of the host as well, what it says of them stays undone.
 */
function isAddition(text: string, tables: readonly string[]): boolean {
  if (!ADDS.test(text) || TAKES.test(text)) return false;
  return /^(create schema|set names) /i.test(text) || tables.some((table) => text.includes(table));
}

/**
 * A new table with its indexes in one statement, that does nothing where the table is: DDL commits by itself on MySQL and
 * MariaDB, so a crash leaves no table without its indexes, and two nodes of a cluster, which share no lock, may both run it.
 */
function folded(statements: readonly string[]): string[] {
  const result: string[] = [];
  for (const text of statements) {
    const index = indexOf(text);
    const at = index ? result.findIndex((earlier) => earlier.startsWith(`create table ${index.table} (`)) : -1;
    const table = result[at]?.replace(/\)(?= default character set \S+ engine = \w+$)/i, `, ${index?.definition})`);
    if (table !== undefined && table !== result[at]) result[at] = table;
    else result.push(text);
  }
  return result.map((text) => text.replace(/^create table (?!if )/i, 'create table if not exists '));
}

/** A statement that adds an index, as a part of its table's definition. */
function indexOf(text: string): { table: string; definition: string } | undefined {
  const [, altered, kind, added] = /^alter table (\S+) add (index|unique) (`.*)$/i.exec(text) ?? [];
  if (altered) return { table: altered, definition: `${kind} ${added}` };
  const [, name, table, keys] = /^create index (\S+) on (\S+) (\(.*\))$/i.exec(text) ?? [];
  return table ? { table, definition: `index ${name} ${keys}` } : undefined;
}

/** Our keys need rows whose index entries may be longer than 767 bytes, whatever `innodb_default_row_format` says. */
function storedDynamically(text: string): string {
  return /^create table /i.test(text) ? text.replace(/( engine = InnoDB)$/i, '$1 row_format = dynamic') : text;
}

/** A driver is not always talking to the server it is named after, and each has its own collation and its own JSON. */
function forServer(statement: string, platform: Platform, collation: MySqlCollation | undefined): string {
  if (!collation) return statement;
  const text = Object.values(MYSQL_COLLATIONS).reduce((ddl, name) => ddl.replaceAll(name, collation), statement);
  return isMariaDbByMySqlDriver(platform, collation) ? tagsAsText(text, collation) : text;
}
