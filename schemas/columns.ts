import { type EntityProperty, EntitySchema, type Platform, Type } from '@mikro-orm/core';
import { type Database, databaseOf } from './database';
import { resolveIndexes } from './indexes';
import { decodeInstant, encodeInstant, instantSql } from './instants';
import { readJson, readNumber, UnreadableValue } from './unreadable';

/**
 * A column type of ours: the same meaning on every database, deaf to the host's time zone and naming settings.
 * Registered in an entity schema it serves the host's own queries through MikroORM; the store uses the same
 * conversions for its hand-written statements.
 */
export abstract class DurableType<Value, Raw> extends Type<Value | null | undefined, Raw | null> {
  /** The declared column type on `database`. */
  protected abstract declare(database: Database): string;
  protected abstract encode(value: Value, database: Database): Raw;
  /** @throws UnreadableValue for what is no value of this type, which a hand or an older schema left */
  protected abstract decode(raw: unknown): Value;

  /** The expression by which the store reads the column, free of session settings and of what drivers parse themselves. */
  selectSql(column: string, _platform: Platform): string {
    return column;
  }

  /** The bytewise collation of the column where the declaration carries one. */
  protected collation(_database: Database, _platform: Platform): string | undefined {
    return undefined;
  }

  override convertToDatabaseValue(value: Value | null | undefined, platform: Platform): Raw | null {
    return value === null || value === undefined ? null : this.encode(value, familyOf(platform));
  }

  override convertToJSValue(raw: Raw | null): Value | null | undefined {
    return raw === null || raw === undefined ? null : this.decode(raw);
  }

  override getColumnType(prop: EntityProperty, platform: Platform): string {
    const database = familyOf(platform);
    resolveIndexes(this.meta, platform);
    return withCollation(prop, this.declare(database), this.collation(database, platform));
  }
}

/**
 * MikroORM 7 takes a collation as an option of the property and reads a `collate` inside the column type as a change on
 * every diff; MikroORM 6 knows no such option and is stable with the text.
 */
function withCollation(prop: EntityProperty, declared: string, collation: string | undefined): string {
  if (!collation) return declared;
  if (!HAS_COLLATION_OPTION) return `${declared} collate ${collation}`;
  (prop as EntityProperty & { collation?: string }).collation = collation.replaceAll('"', '');
  return declared;
}

const HAS_COLLATION_OPTION = 'is' in EntitySchema;

/** Unknown platforms get SQLite's declarations so that discovery ends; the store then refuses them by name. */
function familyOf(platform: Platform): Database {
  return databaseOf(platform) ?? 'sqlite';
}

/** Bytewise collations of MySQL 8 and MariaDB that do not ignore trailing spaces (`utf8mb4_bin` does, on both). */
export const MYSQL_COLLATIONS = { mysql: 'utf8mb4_0900_bin', mariadb: 'utf8mb4_nopad_bin' } as const;

/** A name of a MySQL-family collation of ours; either can stand in for the other. */
export type MySqlCollation = (typeof MYSQL_COLLATIONS)[keyof typeof MYSQL_COLLATIONS];

/** Exact text: case, accents and trailing spaces count, and order is by code point. */
abstract class ExactText extends DurableType<string, string> {
  constructor(protected readonly mysqlCollation: MySqlCollation | undefined) {
    super();
  }

  protected override collation(database: Database, platform: Platform): string | undefined {
    if (database === 'postgresql') return '"C"';
    return database === 'mysql' ? (this.mysqlCollation ?? driverCollation(platform)) : undefined;
  }

  protected encode(value: string): string {
    return value;
  }

  protected decode(raw: unknown): string {
    return String(raw);
  }
}

/**
 * Without a word from the host: what the server that the driver is named after has. `ensureMikroOrmDurableSchema`
 * asks the real server and corrects it.
 */
function driverCollation(platform: Platform): MySqlCollation {
  return /maria/i.test(platform.constructor.name) ? MYSQL_COLLATIONS.mariadb : MYSQL_COLLATIONS.mysql;
}

/** Whether a server with this collation is a MariaDB that `@mikro-orm/mysql` talks to. */
export function isMariaDbByMySqlDriver(platform: Platform, collation: MySqlCollation): boolean {
  return collation === MYSQL_COLLATIONS.mariadb && driverCollation(platform) === MYSQL_COLLATIONS.mysql;
}

/** DDL whose `json` column, of which there is one kind, is text. */
export function tagsAsText(ddl: string, collation: MySqlCollation): string {
  return ddl.replace(/(?<=^|` )json\b/g, `longtext character set utf8mb4 collate ${collation}`);
}

/** An id, token or name: bounded where the database needs it to index, unbounded text elsewhere. */
export class KeyType extends ExactText {
  constructor(
    readonly width: number,
    mysqlCollation?: MySqlCollation,
  ) {
    super(mysqlCollation);
  }

  protected declare(database: Database): string {
    return database === 'mysql' ? `varchar(${this.width}) character set utf8mb4` : 'text';
  }
}

/** Exact text of any length. */
export class TextType extends ExactText {
  protected declare(database: Database): string {
    return database === 'mysql' ? 'longtext character set utf8mb4' : 'text';
  }
}

/**
 * Any value `JSON.stringify` takes, kept as its text: keys stay in order, `"\u0000"` and lone surrogates survive, and
 * JSON `null` is a value of its own beside SQL NULL.
 */
export class PayloadType extends DurableType<unknown, string> {
  constructor(private readonly mysqlCollation?: MySqlCollation) {
    super();
  }

  protected declare(database: Database): string {
    switch (database) {
      case 'sqlite':
        return 'text';
      case 'postgresql':
        return 'json';
      case 'mysql':
        return 'longtext character set utf8mb4';
    }
  }

  protected override collation(database: Database, platform: Platform): string | undefined {
    return database === 'mysql' ? (this.mysqlCollation ?? driverCollation(platform)) : undefined;
  }

  /** `null` is JSON `null` here; only `undefined` is absent. */
  override convertToDatabaseValue(value: unknown, _platform: Platform): string | null {
    return value === undefined ? null : (JSON.stringify(value) ?? null);
  }

  override selectSql(column: string, platform: Platform): string {
    // As text: a driver that parses JSON itself reports JSON null and SQL NULL alike.
    switch (databaseOf(platform)) {
      case 'postgresql':
        return `${column}::text`;
      case 'mysql':
        return `cast(${column} as char)`;
      default:
        return column;
    }
  }

  override convertToJSValueSQL(key: string, platform: Platform): string {
    return this.selectSql(key, platform);
  }

  override compareAsType(): string {
    return 'string';
  }

  protected encode(value: unknown): string {
    return JSON.stringify(value);
  }

  protected decode(raw: unknown): unknown {
    return readJson(String(raw));
  }
}

/**
 * A JSON array of strings whose elements the database can search.
 *
 * MariaDB's `json` is text with a check that carries the column's name. MikroORM's MySQL driver takes that check for a
 * constraint nobody asked for, wants to drop it on every diff, and MariaDB refuses to; there the column is text.
 */
export class TagsType extends DurableType<string[], string> {
  constructor(private readonly mysqlCollation?: MySqlCollation) {
    super();
  }

  override getColumnType(prop: EntityProperty, platform: Platform): string {
    const declared = super.getColumnType(prop, platform);
    const collation = this.mysqlCollation;
    return collation && isMariaDbByMySqlDriver(platform, collation) ? tagsAsText(declared, collation) : declared;
  }

  protected declare(database: Database): string {
    switch (database) {
      case 'sqlite':
        return 'text';
      case 'postgresql':
        return 'jsonb';
      case 'mysql':
        return 'json';
    }
  }

  override selectSql(column: string, platform: Platform): string {
    switch (databaseOf(platform)) {
      case 'postgresql':
        return `${column}::text`;
      case 'mysql':
        return `cast(${column} as char)`;
      default:
        return column;
    }
  }

  override compareAsType(): string {
    return 'string';
  }

  protected encode(value: string[]): string {
    return JSON.stringify(value);
  }

  protected decode(raw: unknown): string[] {
    const tags = typeof raw === 'string' ? readJson(raw) : raw;
    if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')) return tags;
    throw new UnreadableValue('is no array of strings');
  }
}

abstract class Instant<Value> extends DurableType<Value, string | number> {
  protected declare(database: Database): string {
    switch (database) {
      case 'sqlite':
        return 'datetime';
      case 'postgresql':
        return 'timestamptz(3)';
      case 'mysql':
        return 'datetime(3)';
    }
  }

  override selectSql(column: string, platform: Platform): string {
    return instantSql(column, familyOf(platform));
  }

  override compareAsType(): string {
    return 'string';
  }
}

/**
 * A point in time as a `Date`; UTC with milliseconds whatever the host, session or process time zone. Its runtime type is
 * not declared as `Date`: MikroORM would read the column in the host's time zone before this type sees it.
 */
export class InstantType extends Instant<Date> {
  protected encode(value: Date, database: Database): string | number {
    return encodeInstant(value.getTime(), database);
  }

  protected decode(raw: unknown): Date {
    return new Date(decodeInstant(raw));
  }
}

/** The same column as {@link InstantType}, read and written as epoch milliseconds. */
export class EpochMsType extends Instant<number> {
  override get runtimeType(): string {
    return 'number';
  }

  protected encode(value: number, database: Database): string | number {
    return encodeInstant(value, database);
  }

  protected decode(raw: unknown): number {
    return decodeInstant(raw);
  }
}

abstract class NumberType extends DurableType<number, number> {
  override get runtimeType(): string {
    return 'number';
  }

  override compareAsType(): string {
    return 'number';
  }

  protected encode(value: number): number {
    return value;
  }

  protected decode(raw: unknown): number {
    return readNumber(raw);
  }
}

/** A signed 32-bit integer; compensations count below zero. */
export class IntegerType extends NumberType {
  protected declare(database: Database): string {
    return database === 'sqlite' ? 'integer' : 'int';
  }
}

/** A number of JavaScript, all 64 bits of it. */
export class DoubleType extends NumberType {
  protected declare(database: Database): string {
    switch (database) {
      case 'sqlite':
        return 'real';
      case 'postgresql':
        return 'double precision';
      case 'mysql':
        return 'double';
    }
  }
}

/** A 64-bit counter the database fills: a row for every run ever finished must not exhaust it. */
export class SerialType extends NumberType {
  protected declare(database: Database): string {
    switch (database) {
      case 'sqlite':
        return 'integer';
      case 'postgresql':
        return 'bigserial';
      case 'mysql':
        return 'bigint';
    }
  }
}
