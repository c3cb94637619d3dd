import { EntityCaseNamingStrategy, type EventSubscriber, type Options, raw } from '@mikro-orm/core';
import { ENTITIES } from '../../lib';
import type { DatabaseKind } from '../support/databases';

/** A subscriber to our entities that fails whatever it hears. */
export class Saboteur implements EventSubscriber {
  constructor(private readonly hears: { transactions: boolean } = { transactions: false }) {
    const events = this.hears.transactions ? [...ROW_EVENTS, ...TRANSACTION_EVENTS] : ROW_EVENTS;
    for (const event of events) {
      Object.assign(this, {
        [event]: () => {
          throw new Error(`${event} of the host`);
        },
      });
    }
  }

  getSubscribedEntities() {
    return this.hears.transactions ? [] : [...ENTITIES].map(({ meta }) => meta.className as never);
  }
}

const ROW_EVENTS = [
  ...['onInit', 'onLoad', 'beforeCreate', 'afterCreate', 'beforeUpdate', 'afterUpdate', 'beforeUpsert', 'afterUpsert'],
  ...['beforeDelete', 'afterDelete'],
];

const TRANSACTION_EVENTS = [
  ...['beforeTransactionStart', 'afterTransactionStart', 'beforeTransactionCommit', 'afterTransactionCommit'],
  ...['beforeTransactionRollback', 'afterTransactionRollback', 'beforeFlush', 'onFlush', 'afterFlush'],
];

/** A replica that does not answer: whatever is read there fails. */
export const DEAD_REPLICA: Options = {
  preferReadReplicas: true,
  replicas: [{ name: 'dead', host: '127.0.0.1', port: 1, dbName: 'nowhere/at/all' }],
};

/** A filter that is on by default and hides every row of every entity. */
export const HIDES_ALL: Options = {
  filters: { hidesAll: { name: 'hidesAll', default: true, cond: () => ({ [raw('1 = 0')]: [] }) } },
};

/** How a session's default isolation is set, the way a server's own default would be. */
export function defaultIsolation(kind: DatabaseKind, level: 'serializable' | 'repeatable read'): Options {
  switch (kind.family) {
    case 'sqlite':
      return { pool: { min: 0, max: 1, ...(kind.driver === 'better-sqlite' ? impatient : {}) } };
    case 'postgresql':
      return { pool: { min: 0, max: 6 }, ...postgresSettings({ default_transaction_isolation: level }) };
    case 'mysql':
      return { pool: { min: 0, max: 6, ...onConnect(`set session transaction isolation level ${level}`) } };
  }
}

/** Server settings of every connection to PostgreSQL. */
export function postgresSettings(settings: Record<string, string>): Options {
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`);
  return { driverOptions: { connection: { options: options.join(' ') } } };
}

/** better-sqlite3 waits for a lock by stopping the process, in vain when this very process holds it. */
const impatient = {
  afterCreate: (connection: { pragma(text: string): void }, done: (error: unknown, connection: object) => void) => {
    connection.pragma('busy_timeout = 0');
    // The suite asks for answers, not for power cuts.
    connection.pragma('synchronous = off');
    done(null, connection);
  },
};

/** Pool options that run a statement on every new connection to MySQL or MariaDB. */
export function onConnect(statement: string): object {
  type Connection = { query(text: string, done: (error: unknown) => void): void };
  return {
    afterCreate: (connection: Connection, done: (error: unknown, connection: unknown) => void) =>
      connection.query(statement, (error) => done(error, connection)),
  };
}

/** Everything a host may set that leaves its own transactions whole, all at once. */
export function everything(kind: DatabaseKind): Options {
  return {
    ...DEAD_REPLICA,
    ...HIDES_ALL,
    ...defaultIsolation(kind, 'serializable'),
    resultCache: { global: 60_000 },
    namingStrategy: EntityCaseNamingStrategy,
    forceUtcTimezone: false,
    timezone: '+05:30',
    subscribers: [new Saboteur()],
    forceUndefined: true,
    implicitTransactions: false,
    allowGlobalContext: false,
    strict: true,
    validate: true,
  };
}
