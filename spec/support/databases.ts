import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntityManager, MikroORM, Options } from '@mikro-orm/core';
import { ENTITIES, ensureMikroOrmDurableSchema, MikroOrmStateStore, type MikroOrmStateStoreOptions } from '../../lib';
import { HostOrderEntity } from './host';
import { MARIADB, MYSQL, POSTGRES } from './server-kinds';

export type Driver = 'better-sqlite' | 'sqlite' | 'postgresql' | 'mysql' | 'mariadb';
/** A database system; MySQL and MariaDB speak one protocol, and either driver reaches both. */
export type System = 'sqlite' | 'postgresql' | 'mariadb' | 'mysql';

/** An EntityManager that runs SQL, as every driver's does. */
export interface SqlEm extends EntityManager {
  execute<T = Record<string, unknown>[]>(sql: string, params?: unknown[], method?: 'all' | 'get' | 'run'): Promise<T>;
}

/** A kind of database the suites run over. */
export interface DatabaseKind {
  /** As it appears in test names. */
  readonly name: string;
  readonly driver: Driver;
  readonly system: System;
  /** The dialect: that of MySQL for MariaDB too. */
  readonly family: 'sqlite' | 'postgresql' | 'mysql';
  /** Why it cannot be had here; `undefined` when it can. */
  readonly missing: string | undefined;
}

export const KINDS: readonly DatabaseKind[] = [
  { name: 'SQLite (better-sqlite)', driver: 'better-sqlite', system: 'sqlite', family: 'sqlite', missing: undefined },
  { name: 'SQLite (sqlite)', driver: 'sqlite', system: 'sqlite', family: 'sqlite', missing: undefined },
  { name: 'PostgreSQL', driver: 'postgresql', system: 'postgresql', family: 'postgresql', missing: undefined },
  ...(['mariadb', 'mysql'] as const).flatMap((system) => [
    ofMySqlFamily(system, 'mariadb'),
    ofMySqlFamily(system, 'mysql'),
  ]),
];

/** Every system once for each way its driver answers: what a driver only carries is not tried twice. */
export const OWN_DRIVERS: readonly DatabaseKind[] = KINDS.filter(
  ({ system, driver }) => system === 'sqlite' || driver === system,
);

/** A system and a driver; the one of the system's own name is what its users have. */
function ofMySqlFamily(system: 'mariadb' | 'mysql', driver: 'mariadb' | 'mysql'): DatabaseKind {
  const { label, variable } = { mariadb: MARIADB, mysql: MYSQL }[system];
  const missing = process.env[variable] ? undefined : `no ${label} server`;
  return { name: `${label} (${driver} driver)`, driver, system, family: 'mysql', missing };
}

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

  /** Create our tables and the host's. */
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
  const url = new URL(serverUrl(kind));
  return {
    dbName,
    host: url.hostname,
    port: Number(url.port) || undefined,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

/** The TCP port of the server that a database is on. */
export function portOf({ kind, dbName }: TestDatabase): number {
  return connection(kind, dbName).port ?? (kind.family === 'postgresql' ? 5432 : 3306);
}

function serverUrl({ system }: DatabaseKind): string {
  const { label, variable } = { postgresql: POSTGRES, mariadb: MARIADB, mysql: MYSQL }[system as 'mysql'];
  const url = process.env[variable];
  if (!url) throw new Error(`no ${label} server`);
  return url;
}

async function administrate(kind: DatabaseKind, statement: string): Promise<void> {
  const dbName = new URL(serverUrl(kind)).pathname.slice(1);
  const orm = await connect(kind.driver, { ...connection(kind, dbName), entities: [] });
  await sql(orm).execute(statement);
  await orm.close(true);
}
