import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EntitySchema, type MigrationDiff, type MikroORM, type Options } from '@mikro-orm/core';
import { Migrator } from '@mikro-orm/migrations';
import { durableManagedTables, MikroOrmStateStore } from '../../lib';
import { connect, connection, type DatabaseKind, KINDS, sql, type TestDatabase } from '../support/databases';
import { aFullCheckpoint, aFullRun } from '../support/fixtures';

/** Where MikroORM can compare entities with a database. */
export const MIGRATED: readonly DatabaseKind[] = KINDS.map((kind) =>
  kind.system === 'mysql' && kind.driver === 'mariadb'
    ? { ...kind, missing: '@mikro-orm/mariadb asks about constraints what only a MariaDB knows' }
    : kind,
);

/** The host's table after this many changes of its own. */
export function hostOrders(changes: number): EntitySchema {
  const added = ['note', 'paid_by'].slice(0, changes).map((name) => [name, { type: 'string', nullable: true }]);
  return new EntitySchema({
    name: 'HostOrder',
    tableName: 'host_orders',
    properties: {
      id: { type: 'string', primary: true },
      total: { type: 'integer' },
      ...Object.fromEntries(added),
    },
  });
}

/**
 * A host application's folder with its migrations. Every step opens an ORM of its own, as a process of the host
 * does, and closes it.
 */
export class HostProject {
  readonly directory = mkdtempSync(join(tmpdir(), 'host-'));
  private readonly created: string[] = [];

  constructor(
    private readonly db: TestDatabase,
    /** The host's config file, without connection and without the host's own entity. */
    public config: Options,
  ) {
    // Generated migrations import '@mikro-orm/migrations' from where they lie.
    symlinkSync(join(__dirname, '../../node_modules'), join(this.directory, 'node_modules'));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }

  /** Do something with the application's ORM, whose own entity has changed so often. */
  async run<T>(changes: number, work: (orm: MikroORM) => Promise<T>): Promise<T> {
    const orm = await connect(this.db.kind.driver, {
      ...connection(this.db.kind, this.db.dbName),
      baseDir: this.directory,
      extensions: [Migrator],
      logger: () => undefined,
      ...withoutPlace(this.config),
      entities: [...(this.config.entities ?? []), hostOrders(changes)],
    });
    try {
      return await work(orm);
    } finally {
      await orm.close(true);
    }
  }

  /** `mikro-orm migration:create`; the statements of the new migration. */
  createMigration(changes: number, how: HowToCreate = {}): Promise<MigrationDiff> {
    return this.run(changes, (orm) => this.create(orm, how));
  }

  /** `mikro-orm migration:up`; how many migrations it ran. */
  up(changes: number): Promise<number> {
    return this.run(changes, migrate);
  }

  /** Both, one after the other. */
  createAndUp(changes: number, how: HowToCreate = {}): Promise<MigrationDiff & { ran: number }> {
    return this.run(changes, async (orm) => ({ ...(await this.create(orm, how)), ran: await migrate(orm) }));
  }

  private async create(orm: MikroORM, { blank, initial }: HowToCreate): Promise<MigrationDiff> {
    const name = `n${this.created.length}`;
    const { fileName, diff } = await orm.getMigrator().createMigration(undefined, blank, initial, name);
    this.created.push(fileName);
    return { up: diff.up.filter(Boolean), down: diff.down.filter(Boolean) };
  }

  /** Fill the migration created last with a text of a page, as a person does with an empty one. */
  writeLast(text: string): void {
    const library = JSON.stringify(join(__dirname, '../../lib'));
    const path = join(this.directory, 'migrations', this.created.at(-1) as string);
    writeFileSync(path, text.replace("'durable-store-mikro-orm'", library));
  }

  /** The tables that MikroORM's snapshot file remembers; undefined without a file. */
  snapshotTables(): string[] | undefined {
    const path = join(this.directory, 'migrations', `.snapshot-${this.db.dbName.split('/').at(-1)}.json`);
    if (!existsSync(path)) return undefined;
    const { tables } = JSON.parse(readFileSync(path, 'utf8')) as { tables: { name: string }[] };
    return tables.map(({ name }) => name).sort();
  }
}

interface HowToCreate {
  blank?: boolean;
  initial?: boolean;
}

async function migrate(orm: MikroORM): Promise<number> {
  return (await orm.getMigrator().up()).length;
}

/** A page's config names a database; a test has its own. */
function withoutPlace({ dbName, ...config }: Options): Options {
  return config;
}

/** Put a row into every one of the five tables and into the host's. */
export async function fill(orm: MikroORM): Promise<void> {
  const store = new MikroOrmStateStore(orm);
  const run = aFullRun();
  await store.createRun(run);
  await store.saveCheckpoint(aFullCheckpoint({ runId: run.id }));
  await store.putSignalWaiter({ token: 'approval', runId: run.id, seq: 1 });
  await store.bufferSignal('early', { approved: true });
  await store.bufferEvent({ id: 'e-1', name: 'paid', payload: 1, publishedAt: 1 });
  await sql(orm).execute("insert into host_orders (id, total) values ('o-1', 42)");
}

/** Every row of the five tables, and the host's by the columns it began with. */
export async function rows(orm: MikroORM, schema?: string): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {};
  for (const table of durableManagedTables()) {
    found[table] = await sql(orm).execute(`select * from ${schema ? `${schema}.` : ''}${table}`);
  }
  return { ...found, host_orders: await sql(orm).execute('select id, total from host_orders') };
}
