import { EntitySchema, type EntitySchemaMetadata } from '@mikro-orm/core';
import { checkOptions, type OptionRules } from './check-options';
import {
  DoubleType,
  EpochMsType,
  InstantType,
  IntegerType,
  KeyType,
  MYSQL_COLLATIONS,
  type MySqlCollation,
  PayloadType,
  SerialType,
  TagsType,
  TextType,
} from './columns';
import { type IndexSpec, index } from './indexes';
import type { Width } from './widths';

/** How property names become column names. */
export type Naming = 'snake_case' | 'preserve' | ((property: string, table: string) => string);

/** What {@link durableEntities} lets a host choose. */
export interface DurableEntitiesOptions {
  /** `'snake_case'` (default), `'preserve'` (column = property), or a function. Pinned: the host's naming strategy is not asked. */
  naming?: Naming;
  /** The database schema the tables live in; the ORM's own when absent. `'*'` leaves it to the EntityManager. */
  schema?: string;
  /**
   * The bytewise collation on MySQL and MariaDB. Needed only for DDL that MikroORM itself generates through
   * `@mikro-orm/mysql` for a MariaDB server; `ensureMikroOrmDurableSchema` asks the server.
   */
  collation?: MySqlCollation;
}

interface ColumnOptions {
  nullable?: boolean;
  primary?: boolean;
  default?: string;
}

type Column = ColumnOptions & { type: unknown; autoincrement?: boolean; unsigned?: boolean };

/** The words a table is described in. */
export interface Vocabulary {
  key(width: Width, options?: ColumnOptions): Column;
  text(options?: ColumnOptions): Column;
  payload(): Column;
  tags(): Column;
  instant(options?: ColumnOptions): Column;
  epochMs(): Column;
  integer(options?: ColumnOptions): Column;
  double(): Column;
  serial(): Column;
}

function vocabulary(collation: MySqlCollation | undefined): Vocabulary {
  return {
    key: (width, options) => ({ type: new KeyType(width.characters, collation), ...options }),
    text: (options) => ({ type: new TextType(collation), ...options }),
    payload: () => ({ type: new PayloadType(collation), nullable: true }),
    tags: () => ({ type: new TagsType(collation), nullable: true }),
    instant: (options) => ({ type: new InstantType(), ...options }),
    epochMs: () => ({ type: new EpochMsType(), nullable: true }),
    integer: (options) => ({ type: new IntegerType(), unsigned: false, autoincrement: false, ...options }),
    double: () => ({ type: new DoubleType(), nullable: true }),
    serial: () => ({ type: new SerialType(), primary: true, autoincrement: true, unsigned: false }),
  };
}

/** One of our tables, before naming and schema are chosen. */
export interface TableDefinition<Row extends object> {
  /** Entity name; prefixed, so that it cannot clash with an entity of the host. */
  readonly name: string;
  readonly table: string;
  readonly columns: (words: Vocabulary) => { [Property in keyof Row & string]: Column };
  readonly indexes?: readonly IndexSpec<keyof Row & string>[];
  readonly uniques?: readonly { name: string; properties: (keyof Row & string)[] }[];
}

const COLLATIONS: readonly unknown[] = Object.values(MYSQL_COLLATIONS);

const OPTIONS: OptionRules = {
  naming: {
    takes: "'snake_case', 'preserve' or a function",
    accepts: (value) => value === 'snake_case' || value === 'preserve' || typeof value === 'function',
  },
  schema: { takes: "the name of a schema, or '*'", accepts: (value) => typeof value === 'string' },
  collation: { takes: COLLATIONS.join(' or '), accepts: (value) => COLLATIONS.includes(value) },
};

/**
 * Build the plain `EntitySchema` of a table.
 *
 * @throws TypeError for an option of another name or kind
 */
export function defineTable<Row extends object>(
  definition: TableDefinition<Row>,
  options: DurableEntitiesOptions = {},
): EntitySchema<Row> {
  checkOptions('durableEntities', options, OPTIONS);
  const columnName = namer(options.naming ?? 'snake_case', definition.table);
  const columns = Object.entries<Column>(definition.columns(vocabulary(options.collation)));
  return new EntitySchema<Row>({
    name: definition.name,
    tableName: definition.table,
    ...(options.schema === undefined ? {} : { schema: checkedName(options.schema, 'schema', SCHEMA_NAME) }),
    properties: Object.fromEntries(
      columns.map(([property, column]) => [
        property,
        { ...column, fieldName: columnName(property), ignoreSchemaChanges: [...LEFT_ALONE] },
      ]),
    ),
    indexes: (definition.indexes ?? []).map(index),
    uniques: (definition.uniques ?? []).map((unique) => ({ ...unique })),
  } as unknown as EntitySchemaMetadata<Row>);
}

/**
 * What MikroORM's own schema diff leaves alone on our columns. It reads some types back in other words than it wrote them
 * (`longtext` with a character set, defaults on MariaDB through the MySQL driver) and would alter them on every diff.
 */
const LEFT_ALONE = ['type', 'extra', 'default'] as const;

const COLUMN_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const SCHEMA_NAME = /^(\*|[A-Za-z_][A-Za-z0-9_$-]{0,62})$/;

function checkedName(name: string, what: string, pattern: RegExp): string {
  if (typeof name === 'string' && pattern.test(name)) return name;
  throw new TypeError(`durableEntities: a ${what} name must match ${pattern.source}, got ${JSON.stringify(name)}`);
}

function namer(naming: Naming, table: string): (property: string) => string {
  const seen = new Map<string, string>();
  return (property) => {
    const name = checkedName(named(naming, property, table), 'column', COLUMN_NAME);
    const twin = seen.get(name.toLowerCase());
    if (twin !== undefined) {
      throw new TypeError(`durableEntities: naming gives ${table}.${twin} and ${table}.${property} one name, ${name}`);
    }
    seen.set(name.toLowerCase(), property);
    return name;
  };
}

function named(naming: Naming, property: string, table: string): string {
  if (typeof naming === 'function') return naming(property, table);
  if (naming === 'preserve') return property;
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
