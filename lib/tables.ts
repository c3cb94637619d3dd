import type { EntityManager, EntityMetadata, EntityProperty, Platform } from '@mikro-orm/core';
import { type BufferedSignalRow, bufferedSignal } from '../schemas/buffered-signal';
import { type DurableType, PayloadType } from '../schemas/columns';
import { databaseOf } from '../schemas/database';
import type { TableDefinition } from '../schemas/definition';
import { type RunAttributeRow, runAttribute } from '../schemas/run-attribute';
import { type SignalWaiterRow, signalWaiter } from '../schemas/signal-waiter';
import { type StepCheckpointRow, stepCheckpoint } from '../schemas/step-checkpoint';
import { UnreadableValue } from '../schemas/unreadable';
import { type WorkflowRunRow, workflowRun } from '../schemas/workflow-run';
import { DurableConfigurationError, DurableRowError } from './errors';
import { isError } from './failures';
import { Payloads } from './payloads';
import type { Param, Row } from './session';
import { assertKeptByMigrations } from './skipped-tables';
import type { PayloadCodec } from './types';

interface Column {
  /** Quoted column name. */
  readonly name: string;
  readonly bareName: string;
  /** The expression that reads it, under its property's name. */
  readonly selected: string;
  /** Another expression under that name. */
  as(expression: string): string;
  encode(value: unknown, field: string): Param;
  decode(raw: unknown): unknown;
}

/** One table as SQL text and conversions, read once from entity metadata. */
export class Table<Shape extends object> {
  /** Quoted, with its schema where it has one. */
  readonly name: string;
  /** Whether a codec has a say in what can be read, of which the database knows nothing. */
  readonly isEncoded: boolean;
  readonly properties: readonly (keyof Shape & string)[];
  /** The select list of all columns, each under its property's name. */
  readonly selection: string;
  private readonly columns: ReadonlyMap<string, Column>;

  constructor(
    private readonly meta: EntityMetadata,
    platform: Platform,
    schema: string | undefined,
    /** What a row that cannot be read is named by. */
    private readonly keys: readonly (keyof Shape & string)[],
    codec?: PayloadCodec,
  ) {
    const quote = (name: string) => platform.quoteIdentifier(name);
    this.name = schema ? `${quote(schema)}.${quote(meta.tableName)}` : quote(meta.tableName);
    this.properties = Object.keys(meta.properties) as (keyof Shape & string)[];
    this.isEncoded = codec !== undefined;
    const columns = new Map<string, Column>();
    for (const property of Object.values(meta.properties)) {
      const type = property.customType as DurableType<unknown, unknown>;
      const bareName = property.fieldNames[0] as string;
      const name = quote(bareName);
      const as = (expression: string) => `${expression} as ${quote(property.name)}`;
      columns.set(property.name, {
        name,
        bareName,
        as,
        selected: as(type.selectSql(name, platform)),
        ...conversions(property, platform, codec),
      });
    }
    this.columns = columns;
    this.selection = this.select(...this.properties);
  }

  /** The select list of these properties, each column under its property's name. */
  select(...properties: readonly (keyof Shape & string)[]): string {
    return properties.map((property) => this.of(property).selected).join(', ');
  }

  /** All columns, some of them by another expression. */
  selectionBy(expressions: { readonly [Property in keyof Shape & string]?: (column: string) => string }): string {
    const selected = this.properties.map((property) => {
      const expression = expressions[property];
      return expression ? this.of(property).as(expression(this.column(property))) : this.of(property).selected;
    });
    return selected.join(', ');
  }

  /** Quoted name of the property's column. */
  column(property: keyof Shape & string): string {
    return this.of(property).name;
  }

  /** The raw parameter for a property's value; `undefined` becomes SQL NULL. A payload that is refused is called `field`. */
  encode(property: keyof Shape & string, value: unknown, field: string = property): Param {
    return this.of(property).encode(value, field);
  }

  /**
   * The contract's object from a row selected by {@link selection}: SQL NULL reads as an absent key. What becomes of a value
   * that cannot be read is up to `unreadable`; without it the row cannot be read.
   *
   * @throws DurableRowError
   */
  decode(row: Row, unreadable: Unreadable = refuse): Shape {
    const shape: Record<string, unknown> = {};
    for (const [property, column] of this.columns) {
      const raw = row[property];
      if (raw === null || raw === undefined) continue;
      try {
        shape[property] = column.decode(raw);
      } catch (error) {
        const key = this.keyOf(row, property);
        unreadable(new DurableRowError(this.meta.tableName, column.bareName, key, problemOf(error)), shape, property);
      }
    }
    return shape as Shape;
  }

  /** The objects of those rows that can be read. */
  decodeReadable(rows: readonly Row[]): Shape[] {
    const shapes: Shape[] = [];
    for (const row of rows) {
      let isReadable = true;
      const shape = this.decode(row, () => {
        isReadable = false;
      });
      if (isReadable) shapes.push(shape);
    }
    return shapes;
  }

  /** What a row is named by, as far as it can be read. */
  private keyOf(row: Row, unreadable: string): DurableRowError['key'] {
    const present = this.keys.filter((key) => key !== unreadable && row[key] !== null && row[key] !== undefined);
    return Object.fromEntries(present.map((key) => [key, this.of(key).decode(row[key]) as string | number]));
  }

  private of(property: string): Column {
    const column = this.columns.get(property);
    if (!column) throw new TypeError(`${this.name} has no ${property}`);
    return column;
  }
}

/** Columns whose payloads a codec encodes: those of the engine's `CodecStateStore`, whose rows this store reads, and the reverse. */
const ENCODED = new Set(['input', 'output', 'payload']);

function conversions({ name, customType }: EntityProperty, platform: Platform, codec: PayloadCodec | undefined) {
  const type = customType as DurableType<unknown, unknown>;
  if (!(type instanceof PayloadType)) {
    return {
      encode: (value: unknown) => type.convertToDatabaseValue(value, platform) as Param,
      decode: (raw: unknown) => type.convertToJSValue(raw),
    };
  }
  const payloads = new Payloads(ENCODED.has(name) ? codec : undefined);
  return {
    encode: (value: unknown, field: string) => payloads.text(value, field),
    decode: (raw: unknown) => payloads.value(type.convertToJSValue(raw as string)),
  };
}

/** What becomes of a value that cannot be read: `shape` is what the row's object is so far, without this `property`. */
export type Unreadable = (error: DurableRowError, shape: Record<string, unknown>, property: string) => void;

function refuse(error: DurableRowError): void {
  throw error;
}

/** What is wrong with a value, without the words of a codec, which may quote it. */
function problemOf(error: unknown): string {
  if (error instanceof UnreadableValue) return error.message;
  return `cannot be decoded by the codec (${isError(error) ? error.constructor.name : typeof error})`;
}

/** The five tables as the ORM has them registered. */
export interface Tables {
  readonly runs: Table<WorkflowRunRow>;
  readonly checkpoints: Table<StepCheckpointRow>;
  readonly attributes: Table<RunAttributeRow>;
  readonly waiters: Table<SignalWaiterRow>;
  readonly buffer: Table<BufferedSignalRow>;
}

/**
 * Find the five entities in an ORM. With a codec, payloads are stored encoded.
 *
 * @throws DurableConfigurationError `DURABLE_ENTITIES_NOT_REGISTERED`, `DURABLE_TABLES_SKIPPED`
 */
export function tablesOf(em: EntityManager, codec?: PayloadCodec): Tables {
  const metadata = durableMetadata(em);
  const table = <Shape extends object>(
    definition: TableDefinition<Shape>,
    ...keys: (keyof Shape & string)[]
  ): Table<Shape> => {
    const meta = metadata.get(definition.name) as EntityMetadata;
    return new Table<Shape>(meta, em.getPlatform(), schemaInForce(em, meta), keys, codec);
  };
  return {
    runs: table(workflowRun, 'id'),
    checkpoints: table(stepCheckpoint, 'runId', 'seq'),
    attributes: table(runAttribute, 'runId', 'key'),
    waiters: table(signalWaiter, 'token'),
    buffer: table(bufferedSignal, 'id', 'token', 'eventId'),
  };
}

const DEFINITIONS = [workflowRun, stepCheckpoint, runAttribute, signalWaiter, bufferedSignal] as const;

/**
 * The metadata of the five entities by entity name, in their fixed order.
 *
 * @throws DurableConfigurationError `DURABLE_ENTITIES_NOT_REGISTERED`, `DURABLE_TABLES_SKIPPED`
 */
export function durableMetadata(em: EntityManager): ReadonlyMap<string, EntityMetadata> {
  const all = em.getMetadata().getAll() as unknown;
  // An object in MikroORM 6, a Map in 7.
  const registered: EntityMetadata[] = [...(all instanceof Map ? all.values() : Object.values(all as object))];
  const found = new Map<string, EntityMetadata>();
  for (const { name } of DEFINITIONS) {
    const meta = registered.find((candidate) => candidate.className === name);
    if (meta) found.set(name, meta);
  }
  const missing = DEFINITIONS.filter(({ name }) => !found.has(name)).map(({ table }) => table);
  if (missing.length === 0) {
    assertKeptByMigrations(em.config, [...found.values()]);
    return found;
  }
  throw new DurableConfigurationError(
    'DURABLE_ENTITIES_NOT_REGISTERED',
    `this ORM does not know the entities of ${missing.join(', ')}; ` +
      "add them to the MikroORM config: entities: [...ENTITIES, /* your own */], with ENTITIES from 'durable-store-mikro-orm'",
  );
}

/**
 * The database schema a table is addressed in: the entity's own, else the EntityManager's, else the config's. The platform's
 * default schema goes unnamed, as MikroORM's own statements leave it, so that a search path decides.
 *
 * @throws DurableConfigurationError `DURABLE_UNSUPPORTED_SCHEMA` for any schema but `main` on SQLite
 */
export function schemaInForce(em: EntityManager, meta: EntityMetadata): string | undefined {
  const own = meta.schema && meta.schema !== '*' ? meta.schema : undefined;
  const schema = own ?? em.schema ?? em.config.get('schema');
  if (databaseOf(em.getPlatform()) === 'sqlite') return unnamed(schema);
  return schema && schema !== em.getPlatform().getDefaultSchemaName() ? schema : undefined;
}

/** The database schema of the runs' table; see {@link schemaInForce}. */
export function runsSchema(em: EntityManager): string | undefined {
  return schemaInForce(em, durableMetadata(em).get(workflowRun.name) as EntityMetadata);
}

/** SQLite has no schemas but attached files, which belong to one connection only; `main` is the database's own file. */
function unnamed(schema: string | undefined): undefined {
  if (!schema || schema === 'main') return undefined;
  throw new DurableConfigurationError(
    'DURABLE_UNSUPPORTED_SCHEMA',
    `SQLite has no database schema ${schema}: leave the schema out of durableEntities and of the ORM's config, or name it main`,
  );
}
