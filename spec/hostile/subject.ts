import type { MikroORM, Options } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { CAPABILITIES, type Capability, type Subject } from '../contract/subject';
import { type DatabaseKind, sql, TestDatabase } from '../support/databases';

/**
 * What the suite leaves out. `rowLocks` and `changesBehindReads` have a competitor that the database itself undoes, or has wait,
 * where serializable is the default; `changedRows` connects in a way of its own.
 */
const ABSENT: Record<DatabaseKind['family'], Capability[]> = {
  sqlite: ['pool', 'rowLocks', 'changedRows'],
  postgresql: ['rowLocks', 'changesBehindReads', 'changedRows'],
  mysql: ['rowLocks', 'changesBehindReads', 'changedRows'],
};

/** A store on a host ORM with these settings, for the contract suite. */
export function hostSubject(kind: DatabaseKind, host: Options): Subject {
  const absent = ABSENT[kind.family];
  return new HostSubject(kind, host, new Set(CAPABILITIES.filter((capability) => !absent.includes(capability))));
}

class HostSubject implements Subject {
  store!: MikroOrmStateStore;
  peers!: MikroOrmStateStore[];
  orm!: MikroORM;
  private db!: TestDatabase;

  constructor(
    readonly kind: DatabaseKind,
    private readonly host: Options,
    readonly capabilities: ReadonlySet<Capability>,
  ) {
    beforeAll(() => this.start());
    afterAll(() => this.db.drop());
  }

  open(options: Options = {}): Promise<MikroORM> {
    return this.db.open({ ...this.host, ...options });
  }

  clear(): Promise<void> {
    return this.db.clear(this.orm);
  }

  private async start(): Promise<void> {
    this.db = await TestDatabase.create(this.kind);
    await this.db.ensureSchema();
    this.orm = await this.open();
    await sql(this.orm).execute("insert into host_orders (id, total) values ('theirs', 7)", [], 'run');
    this.store = new MikroOrmStateStore(this.orm);
    const orms = await Promise.all([this.open(), this.open(), this.open()]);
    this.peers = orms.map((orm) => new MikroOrmStateStore(orm));
  }
}
