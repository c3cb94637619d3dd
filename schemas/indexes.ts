import type { EntityMetadata, Platform } from '@mikro-orm/core';
import { type Database, databaseOf } from './database';

/** How an index looks on one database, where the plain list of columns does not say it. */
export interface IndexShape {
  /** Index method, e.g. `gin`. */
  readonly using?: string;
  /** Key parts from quoted column names. */
  readonly keys: (columns: Record<string, string>) => string[];
  /** The rows of a partial index, from quoted column names. */
  readonly where?: (columns: Record<string, string>) => string;
}

/** An index of one of our tables. */
export interface IndexSpec<Property extends string> {
  /** The same name on every database and under every naming. */
  readonly name: string;
  readonly properties: readonly Property[];
  /** Columns of the primary key that end the index. InnoDB appends the key by itself, and counts it twice if told. */
  readonly thenKey?: readonly Property[];
  /** `false`: the database cannot have this index. */
  readonly on?: Partial<Record<Database, IndexShape | false>>;
}

/** The shape MikroORM's `indexes` option takes. */
export interface DeclaredIndex {
  name: string;
  properties: string[];
  expression: () => string;
}

const specs = new WeakMap<object, IndexSpec<string>>();

/**
 * Declare an index in the form MikroORM's schema options take. Its final form depends on the database, so it carries a
 * placeholder until {@link resolveIndexes} knows which one the metadata is for.
 */
export function index<Property extends string>(spec: IndexSpec<Property>): DeclaredIndex {
  const unresolved = () => {
    throw new TypeError(`${spec.name} was not resolved: its entity has not been discovered by a MikroORM instance`);
  };
  specs.set(unresolved, spec);
  return { name: spec.name, properties: [...spec.properties], expression: unresolved };
}

/**
 * Give every index of `meta` its form on the platform's database.
 *
 * MikroORM hands the platform to an entity schema in one place only, a custom type's `getColumnType`, at discovery and on
 * a copy of the metadata that belongs to that one MikroORM instance. The column types of ours call this from there.
 */
export function resolveIndexes(meta: EntityMetadata | undefined, platform: Platform): void {
  if (!meta?.indexes) return;
  const database = databaseOf(platform) ?? 'sqlite';
  meta.indexes = meta.indexes.filter((declared) => {
    const spec = typeof declared.expression === 'function' ? specs.get(declared.expression) : undefined;
    if (!spec) return true;
    const shape = spec.on?.[database];
    if (shape) declared.expression = render(spec.name, shape, meta, platform);
    else delete declared.expression;
    declared.properties = [...spec.properties, ...(database === 'mysql' ? [] : (spec.thenKey ?? []))] as never;
    return shape !== false;
  });
}

interface TableName {
  readonly name: string;
  readonly schema?: string;
}

function render(name: string, shape: IndexShape, meta: EntityMetadata, platform: Platform) {
  const quoted = (part: string) => platform.quoteIdentifier(part);
  const columns = Object.fromEntries(
    Object.values(meta.properties).map((property) => [property.name, quoted(property.fieldNames[0] as string)]),
  );
  const create = (schema: string | undefined): string => {
    const table = schema && schema !== platform.getDefaultSchemaName() ? [schema, meta.tableName] : [meta.tableName];
    const using = shape.using ? ` using ${shape.using}` : '';
    const keys = `(${shape.keys(columns).join(', ')})`;
    const where = shape.where ? ` where ${shape.where(columns)}` : '';
    return `create index ${quoted(name)} on ${table.map(quoted).join('.')}${using} ${keys}${where}`;
  };
  // Only a wildcard schema is open until the DDL is made; the callback that learns it then came with MikroORM 6.6.
  if (meta.schema !== '*') return create(meta.schema ?? platform.getConfig().get('schema'));
  // It is called with (table, columns, name) by MikroORM 6 and with (columns, table, name) by 7.
  return (...args: unknown[]): string =>
    create(args.find((arg): arg is TableName => (arg as TableName | undefined)?.name === meta.tableName)?.schema);
}
