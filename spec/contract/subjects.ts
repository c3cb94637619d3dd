import { InMemoryStateStore } from '@dudousxd/nestjs-durable-core';
import type { MikroORM, Options } from '@mikro-orm/core';
import { MikroOrmStateStore, type MikroOrmStateStoreOptions } from '../../lib';
import { type DatabaseKind, type Driver, sql, TestDatabase } from '../support/databases';
import { CAPABILITIES, type Capability, type Subject } from './subject';

const PEERS = 3;

const ABSENT: Record<DatabaseKind['family'], Capability[]> = {
  sqlite: ['pool', 'rowLocks', 'changedRows'],
  postgresql: ['changedRows'],
  mysql: ['rowLocks'],
};

/**
 * better-sqlite3 waits for a lock by stopping the process, for five seconds and in vain when the lock is held by another
 * connection of this very process. Here it is not to wait; the store tries again.
 */
const impatient = (connection: { pragma(text: string): void }, done: (error: unknown, connection: object) => void) => {
  connection.pragma('busy_timeout = 0');
  done(null, connection);
};

const POOL: Record<Driver, Options['pool'] & object> = {
  'better-sqlite': { max: 1, afterCreate: impatient as never },
  sqlite: { max: 1 },
  postgresql: { max: 6 },
  mysql: { max: 6 },
  mariadb: { max: 6 },
};

/** Our store on a fresh database of this kind, with a row of the host's beside our tables. */
export function databaseSubject(kind: DatabaseKind, options?: MikroOrmStateStoreOptions): Subject {
  const absent = ABSENT[kind.family];
  const capabilities = new Set(CAPABILITIES.filter((capability) => !absent.includes(capability)));
  return new DatabaseSubject(kind, capabilities, options);
}

class DatabaseSubject implements Subject {
  store!: MikroOrmStateStore;
  peers!: MikroOrmStateStore[];
  orm!: MikroORM;
  private db!: TestDatabase;

  constructor(
    readonly kind: DatabaseKind,
    readonly capabilities: ReadonlySet<Capability>,
    readonly options: MikroOrmStateStoreOptions | undefined,
  ) {
    beforeAll(() => this.start());
    afterAll(() => this.db.drop());
  }

  open(options: Options = {}): Promise<MikroORM> {
    return this.db.open({ pool: { min: 0, ...POOL[this.kind.driver] }, ...options });
  }

  clear(): Promise<void> {
    return this.db.clear(this.orm);
  }

  private async start(): Promise<void> {
    this.db = await TestDatabase.create(this.kind);
    await this.db.ensureSchema();
    this.orm = await this.open();
    await sql(this.orm).execute("insert into host_orders (id, total) values ('theirs', 7)");
    this.store = new MikroOrmStateStore(this.orm, this.options);
    const orms = await Promise.all(Array.from({ length: PEERS }, () => this.open()));
    this.peers = orms.map((orm) => new MikroOrmStateStore(orm, this.options));
  }
}

/** The engine's own store, for the cases it gets right. */
export function referenceSubject(): Subject {
  const subject = {
    capabilities: new Set<Capability>(),
    store: reference(),
    clear: async () => {
      subject.store = reference();
    },
  };
  return subject as unknown as Subject;
}

function reference(): MikroOrmStateStore {
  return new InMemoryStateStore() as unknown as MikroOrmStateStore;
}
