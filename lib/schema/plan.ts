import type { EntityManager, EntityMetadata, EntityProperty, Platform } from '@mikro-orm/core';
import { isMariaDbByMySqlDriver, MYSQL_COLLATIONS, type MySqlCollation, tagsAsText } from '../../schemas/columns';
import type { Database } from '../../schemas/database';
import type { Dialect } from '../dialect';
import type { Found, FoundColumn } from './inspect';
import { judge } from './judge';

/** What separates the database from the five entities. */
export interface Plan {
  /** Statements that add what is missing, in order. */
  readonly statements: readonly string[];
  /** Differences the schema function leaves alone and the store can live with. */
  readonly notes: readonly string[];
  /** Differences the store cannot work on, each with what to run. */
  readonly problems: readonly string[];
}

/** The parts of MikroORM's schema generator this uses; the same in 6 and 7, though typed as internal. */
interface Generator {
  getOrderedMetadata(schema?: string): EntityMetadata[];
  getTargetSchema(schema?: string): unknown;
  getUpdateSchemaMigrationSQL(options: {
    schema?: string | undefined;
    fromSchema: unknown;
    safe: boolean;
    dropTables: boolean;
    wrap: boolean;
  }): Promise<{ up: string }>;
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
  const complete = problems.length > 0 || metadata.every((meta) => isComplete(meta, present));
  const generated = complete ? [] : await additions(em, metadata, present);
  const statements = collation ? generated.map((text) => forServer(text, em.getPlatform(), collation)) : generated;
  return { statements, notes, problems };
}

/** All statements that create the five tables, for people who own their migrations. */
export async function creation(em: EntityManager, metadata: readonly EntityMetadata[]): Promise<string[]> {
  const nothing: Found = { tables: new Set(), columns: [], indexes: new Map(), hasSchema: false };
  return additions(em, metadata, nothing);
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

function isMandatory(property: EntityProperty): boolean {
  return !property.nullable && property.default === undefined && property.defaultRaw === undefined;
}

function isComplete(meta: EntityMetadata, present: Found): boolean {
  return present.tables.has(meta.tableName) && missingFrom(meta, present).every((list) => list.length === 0);
}

function missingFrom(meta: EntityMetadata, { columns, indexes }: Found): [properties: string[], indexes: string[]] {
  const has = new Set(columns.filter(({ table }: FoundColumn) => table === meta.tableName).map(({ name }) => name));
  const properties = Object.values(meta.properties).filter((property) => !has.has(property.fieldNames[0] as string));
  const wanted = [...meta.indexes, ...meta.uniques].map(({ name }) => name as string);
  const existing = indexes.get(meta.tableName);
  return [properties.map(({ name }) => name), wanted.filter((name) => !existing?.has(name))];
}

/**
 * MikroORM's own DDL for the difference between the entities as they are and as the database has them. Both sides of the
 * comparison come from our metadata, the second without what is missing: all that can come out is additions to
 * our tables, and nothing else of the host's is read or looked at.
 */
async function additions(em: EntityManager, metadata: readonly EntityMetadata[], present: Found): Promise<string[]> {
  const schema = em.schema;
  const generator = em.getPlatform().getSchemaGenerator(em.getDriver(), em) as unknown as Generator;
  const existing = metadata.filter((meta) => present.tables.has(meta.tableName)).map((meta) => asFound(meta, present));
  generator.getOrderedMetadata = () => existing;
  const fromSchema = generator.getTargetSchema(schema);
  generator.getOrderedMetadata = () => [...metadata];
  const { up } = await generator.getUpdateSchemaMigrationSQL({
    schema,
    fromSchema,
    safe: true,
    dropTables: false,
    wrap: false,
  });
  // Column and schema names are checked when the entities are built: no statement has a semicolon of its own.
  const statements = up
    .split(/;\s*(?:\n|$)/)
    .map((text) => text.trim())
    .filter((text) => text !== '');
  return statements.filter((text) => !(present.hasSchema && /^create schema /i.test(text)));
}

/** The metadata of a table as far as the database has it. */
function asFound(meta: EntityMetadata, present: Found): EntityMetadata {
  const [properties, indexes] = missingFrom(meta, present);
  const isThere = ({ name }: { name?: string }) => !indexes.includes(name as string);
  const has = ({ name }: EntityProperty) => !properties.includes(name);
  return Object.create(meta, {
    props: { value: meta.props.filter(has) },
    properties: { value: Object.fromEntries(Object.entries(meta.properties).filter(([, property]) => has(property))) },
    indexes: { value: meta.indexes.filter(isThere) },
    uniques: { value: meta.uniques.filter(isThere) },
  }) as EntityMetadata;
}

/** A driver is not always talking to the server it is named after, and each has its own collation and its own JSON. */
function forServer(statement: string, platform: Platform, collation: MySqlCollation): string {
  const text = Object.values(MYSQL_COLLATIONS).reduce((ddl, name) => ddl.replaceAll(name, collation), statement);
  return isMariaDbByMySqlDriver(platform, collation) ? tagsAsText(text, collation) : text;
}
