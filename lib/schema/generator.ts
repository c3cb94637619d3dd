import type { EntityManager, EntityMetadata, EntityProperty } from '@mikro-orm/core';
import type { Found, FoundColumn } from './inspect';

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

/** Columns, as properties, and indexes of a table that the database lacks. */
export interface Missing {
  readonly properties: readonly EntityProperty[];
  readonly indexes: readonly string[];
}

/** What of a table that is there is missing. */
export function missingFrom(meta: EntityMetadata, { columns, indexes }: Found): Missing {
  const has = new Set(columns.filter(({ table }: FoundColumn) => table === meta.tableName).map(({ name }) => name));
  const existing = indexes.get(meta.tableName);
  return {
    properties: Object.values(meta.properties).filter((property) => !has.has(property.fieldNames[0] as string)),
    indexes: [...meta.indexes, ...meta.uniques]
      .map(({ name }) => name as string)
      .filter((name) => existing?.has(name) !== true),
  };
}

/**
 * MikroORM's own DDL for the difference between the entities as they are and as the database has them. Both sides of the
 * comparison come from our metadata, the second without what is missing: all that can come out is additions to
 * our tables, and nothing else of the host's is read or looked at.
 */
export async function additions(
  em: EntityManager,
  metadata: readonly EntityMetadata[],
  present: Found,
): Promise<string[]> {
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
  const { properties, indexes } = missingFrom(meta, present);
  const isThere = ({ name }: { name?: string }) => !indexes.includes(name as string);
  const has = (property: EntityProperty) => !properties.some(({ name }) => name === property.name);
  return Object.create(meta, {
    props: { value: meta.props.filter(has) },
    properties: { value: Object.fromEntries(Object.entries(meta.properties).filter(([, property]) => has(property))) },
    indexes: { value: meta.indexes.filter(isThere) },
    uniques: { value: meta.uniques.filter(isThere) },
  }) as EntityMetadata;
}
