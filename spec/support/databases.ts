import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntityManager, MikroORM, Options } from '@mikro-orm/core';
import { ENTITIES, ensureMikroOrmDurableSchema, MikroOrmStateStore, type MikroOrmStateStoreOptions } from '../../lib';
import { HostOrderEntity } from './host';

export type Driver = 'better-sqlite' | 'sqlite' | 'postgresql' | 'mysql' | 'mariadb';

/** An EntityManager that runs SQL, as every driver's does. */
export interface SqlEm extends EntityManager {
  execute<T = Record<string, unknown>[]>(sql: string, params?: unknown[], method?: 'all' | 'get' | 'run'): Promise<T>;
}

/** A kind of database the suites run over. */
export interface DatabaseKind {
  /** As it appears in test names. */
  readonly name: string;
  readonly driver: Driver;
  readonly family: 'sqlite' | 'postgresql' | 'mysql';
  /** Why it cannot be had here; `undefined` when it can. */
  readonly missing: string | undefined;
  /** Config this kind adds to every ORM. */
  readonly config?: Options;
}

const noMysql = process.env.DURABLE_TEST_MYSQL_URL ? undefined : 'no MySQL or MariaDB server';

export const KINDS: readonly DatabaseKind[] = [
  { name: 'SQLite (better-sqlite)', driver: 'better-sqlite', family: 'sqlite', missing: undefined },
  { name: 'SQLite (sqlite)', driver: 'sqlite', family: 'sqlite', missing: undefined },
  { name: 'PostgreSQL', driver: 'postgresql', family: 'postgresql', missing: undefined },
  { name: 'MySQL driver', driver: 'mysql', family: 'mysql', missing: noMysql },
  { name: 'MariaDB driver', driver: 'mariadb', family: 'mysql', missing: noMysql },
];

/**
 * The statements MySQL 8 gets, which has no `returning`, run on the server that is there: the store is told the version
 * is MySQL's.
 */
export const MYSQL_WITHOUT_RETURNING: DatabaseKind = {
  name: 'MySQL driver, statements for MySQL 8',
  driver: 'mysql',
  family: 'mysql',
  missing: noMysql,
  config: {
    onQuery: (sql: string) => sql.replace('select version() as version', "select '8.0.36' as version"),
  } as Options,
};

/** A database of its own for one spec file, and the ORMs opened on it. */
export class TestDatabase {
  private readonly orms: MikroORM[] = [];

  private constructor(
    readonly kind: DatabaseKind,
    /** Database name, or the file of a SQLite database. */
    readonly dbName: string,
    private readonly remove: () => Promise<void>,
  ) {}

  /** Create an empty database. */
  static async create(kind: DatabaseKind): Promise<TestDatabase> {
    if (kind.family === 'sqlite') {
      const directory = mkdtempSync(join(tmpdir(), 'durable-'));
      return new TestDatabase(kind, join(directory, 'app.sqlite'), async () => rmSync(directory, { recursive: true }));
    }
    const name = `durable_test_${randomBytes(6).toString('hex')}`;
    await administrate(kind, `create database ${name}`);
    const drop = kind.family === 'postgresql' ? `drop database ${name} with (force)` : `drop database ${name}`;
    return new TestDatabase(kind, name, () => administrate(kind, drop));
  }

  /** Open an ORM with our entities and one of the host's; each has its own connections. Closed by {@link drop}. */
  async open(options: Options = {}): Promise<MikroORM> {
    const orm = await connect(this.kind.driver, {
      ...connection(this.kind, this.dbName),
      entities: [...ENTITIES, HostOrderEntity],
      ...this.kind.config,
      ...options,
    });
    this.orms.push(orm);
    return orm;
  }

  /** Open an ORM on a database whose tables exist. */
  async openReady(options: Options = {}): Promise<MikroORM> {
    const orm = await this.open(options);
    await this.ensureSchema();
    return orm;
  }

  /** A store on an ORM of its own, tables included. */
  async store(options: Options = {}, storeOptions?: MikroOrmStateStoreOptions): Promise<MikroOrmStateStore> {
    return new MikroOrmStateStore(await this.openReady(options), storeOptions);
  }

  /** Create our tables and the host's by the real server's own rules. */
  async ensureSchema(): Promise<void> {
    const orm = await connect(this.kind.driver, {
      ...connection(this.kind, this.dbName),
      entities: [...ENTITIES, HostOrderEntity],
    });
    await ensureMikroOrmDurableSchema(orm);
    await sql(orm).execute(
      'create table if not exists host_orders (id varchar(64) primary key, total integer not null)',
    );
    await orm.close(true);
  }

  /** Empty our tables. */
  async clear(orm: MikroORM): Promise<void> {
    for (const { meta } of ENTITIES) await sql(orm).execute(`delete from ${meta.tableName}`);
  }

  /** Close what was opened and remove the database. */
  async drop(): Promise<void> {
    await Promise.all(this.orms.map((orm) => orm.close(true)));
    await this.remove();
  }
}

/** A fork that runs SQL. */
export function sql(orm: Pick<MikroORM, 'em'>): SqlEm {
  return orm.em.fork() as SqlEm;
}

/** Run a suite over every database that can be had; one that cannot shows as skipped with its reason. */
export function eachDatabase(kinds: readonly DatabaseKind[], suite: (kind: DatabaseKind) => void): void {
  for (const kind of kinds) {
    if (kind.missing) describe.skip(`${kind.name}: skipped, ${kind.missing}`, () => suite(kind));
    else describe(kind.name, () => suite(kind));
  }
}

/** The MikroORM class of a driver. */
export async function connect(driver: Driver, options: Options): Promise<MikroORM> {
  const { MikroORM: Orm } = require(`@mikro-orm/${driver}`) as { MikroORM: typeof MikroORM };
  return Orm.init({ ensureDatabase: false, discovery: { warnWhenNoEntities: false }, ...options });
}

/** Connection options of a database of this kind. */
export function connection(kind: DatabaseKind, dbName: string): Options {
  if (kind.family === 'sqlite') return { dbName };
  const url = new URL(serverUrl(kind.family));
  return {
    dbName,
    host: url.hostname,
    port: Number(url.port) || undefined,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

function serverUrl(family: 'postgresql' | 'mysql'): string {
  const url = process.env[family === 'postgresql' ? 'DURABLE_TEST_POSTGRES_URL' : 'DURABLE_TEST_MYSQL_URL'];
  if (!url) throw new Error(`no ${family} server`);
  return url;
}

async function administrate(kind: DatabaseKind, statement: string): Promise<void> {
  const family = kind.family as 'postgresql' | 'mysql';
  const dbName = new URL(serverUrl(family)).pathname.slice(1);
  const orm = await connect(kind.driver, { ...connection(kind, dbName), entities: [] });
  await sql(orm).execute(statement);
  await orm.close(true);
}
