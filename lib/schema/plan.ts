import type { EntityManager, EntityMetadata, EntityProperty } from '@mikro-orm/core';
import type { Database } from '../../schemas/database';
import type { Dialect } from '../dialect';
import { additions, missingFrom } from './generator';
import type { Found } from './inspect';
import { judge } from './judge';
import { shaped } from './statements';

/** What separates the database from the five entities. */
export interface Plan {
  /** Tables, columns (`table.column`) and indexes (`index on table`) the database lacks. */
  readonly missing: readonly string[];
  /** Statements that add what is missing, in order. */
  readonly statements: readonly string[];
  /** Differences the schema function leaves alone and the store can live with. */
  readonly notes: readonly string[];
  /** Differences the store cannot work on, each with what to run. */
  readonly problems: readonly string[];
}

/** Compare what was found with the entities. */
export async function plan(
  em: EntityManager,
  metadata: readonly EntityMetadata[],
  present: Found,
  { database, collation }: Dialect,
): Promise<Plan> {
  const notes: string[] = [];
  const problems: string[] = [];
  for (const meta of metadata) {
    if (present.tables.has(meta.tableName)) compareColumns(meta, present, database, notes, problems);
  }
  compareIndexes(present, notes, problems);
  const missing = metadata.flatMap((meta) => lacking(meta, present));
  const isToDo = missing.length > 0 && problems.length === 0;
  const generated = isToDo ? await additions(em, metadata, present) : [];
  const statements = shaped(generated, tableNames(metadata), em.getPlatform(), { database, collation });
  return { missing, statements, notes, problems };
}

/** All statements that create the five tables, for people who own their migrations. */
export async function creation(
  em: EntityManager,
  metadata: readonly EntityMetadata[],
  database: Database,
): Promise<string[]> {
  const nothing: Found = { tables: new Set(), columns: [], indexes: new Map(), unusable: [], hasSchema: false };
  return shaped(await additions(em, metadata, nothing), tableNames(metadata), em.getPlatform(), { database });
}

function tableNames(metadata: readonly EntityMetadata[]): string[] {
  return metadata.map((meta) => meta.tableName);
}

function lacking(meta: EntityMetadata, present: Found): string[] {
  if (!present.tables.has(meta.tableName)) return [meta.tableName];
  const { properties, indexes } = missingFrom(meta, present);
  return [
    ...properties.map(({ fieldNames }) => `${meta.tableName}.${fieldNames[0]}`),
    ...indexes.map((name) => `${name} on ${meta.tableName}`),
  ];
}

function compareColumns(
  meta: EntityMetadata,
  present: Found,
  database: Database,
  notes: string[],
  problems: string[],
): void {
  const columns = new Map(present.columns.filter(({ table }) => table === meta.tableName).map((c) => [c.name, c]));
  for (const property of Object.values(meta.properties)) {
    const name = property.fieldNames[0] as string;
    const column = columns.get(name);
    columns.delete(name);
    if (column) {
      const verdict = judge(property, column, database);
      const says = `${meta.tableName}.${name} (${column.type}) ${verdict?.reason}; wanted: ${property.columnTypes?.[0]}`;
      if (verdict) (verdict.level === 'note' ? notes : problems).push(says);
    } else if (isMandatory(property)) {
      problems.push(`${meta.tableName} has no column ${name}, which cannot be added to rows that are there`);
    }
  }
  for (const stranger of columns.values()) {
    if (stranger.mustBeGiven)
      problems.push(`${meta.tableName}.${stranger.name} is not ours, is NOT NULL and has no default`);
  }
}

/** An index that is not valid is neither made again, which its name forbids, nor used by the database. */
function compareIndexes({ unusable }: Found, notes: string[], problems: string[]): void {
  for (const { table, name, isUnique } of unusable) {
    const says =
      `index ${name} on ${table} is not valid: it is being built CONCURRENTLY, or that has failed; ` +
      `if nobody is building it, run: drop index concurrently ${name}, and ensure the schema again`;
    if (isUnique) problems.push(`${says}; inserts need it`);
    else notes.push(`${says}; until then what it serves is slow`);
  }
}

function isMandatory(property: EntityProperty): boolean {
  return !property.nullable && property.default === undefined && property.defaultRaw === undefined;
}
