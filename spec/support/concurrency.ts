import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import { type DatabaseKind, type SqlEm, sql } from './databases';

/** Nothing that happens at all takes so long, however busy the machine is. */
const WAIT_MS = 120_000;

/** Wait until a condition holds, and fail naming it when it never does. */
export async function eventually<T>(what: string, check: () => Promise<T>): Promise<NonNullable<T>> {
  const until = performance.now() + WAIT_MS;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > until) throw new Error(`waited in vain until ${what}`);
    await delay(5);
  }
}

/** A door that whoever passes waits at until it is opened. */
export class Gate {
  readonly passed: Promise<void>;
  private opener: () => void = () => undefined;

  constructor() {
    this.passed = new Promise((resolve) => {
      this.opener = resolve;
    });
  }

  open(): void {
    this.opener();
  }
}

/** An open transaction on a connection of its own, with whatever it locks. */
export class OpenTransaction {
  private constructor(private readonly em: SqlEm) {}

  static async begin(orm: MikroORM): Promise<OpenTransaction> {
    const em = sql(orm);
    await em.begin();
    return new OpenTransaction(em);
  }

  /** Begin and run one statement, whose locks are then held. */
  static async holding(orm: MikroORM, statement: string, params: unknown[] = []): Promise<OpenTransaction> {
    const transaction = await OpenTransaction.begin(orm);
    await transaction.execute(statement, params);
    return transaction;
  }

  execute<T = Record<string, unknown>[]>(statement: string, params: unknown[] = []): Promise<T> {
    return this.em.execute<T>(statement, params);
  }

  commit(): Promise<void> {
    return this.em.commit();
  }

  rollback(): Promise<void> {
    return this.em.rollback();
  }
}

/**
 * Where sessions are listed. MySQL's own `processlist` fails while any session on the server runs a statement with an emoji in
 * it (of another spec file, say), and MariaDB keeps no `threads` unless it is told to.
 */
export const SESSIONS = {
  postgresql: { table: 'pg_stat_activity', id: 'pid', db: 'datname' },
  mysql: { table: 'performance_schema.threads', id: 'processlist_id', db: 'processlist_db' },
  mariadb: { table: 'information_schema.processlist', id: 'id', db: 'db' },
} as const;

/** How many sessions of this database wait for a lock, as the database itself says. */
export async function blockedSessions(kind: DatabaseKind, orm: MikroORM): Promise<number> {
  if (kind.family === 'postgresql') {
    const waiting = "datname = current_database() and wait_event_type = 'Lock'";
    return (await sql(orm).execute(`select pid from pg_stat_activity where ${waiting}`)).length;
  }
  // Not information_schema.innodb_trx: that is a copy which InnoDB renews only when nobody has asked for a while.
  const [monitor] = await sql(orm).execute<{ Status: string }[]>('show engine innodb status');
  const { table, id, db } = SESSIONS[kind.system as keyof typeof SESSIONS];
  const sessions = await sql(orm).execute<{ id: unknown }[]>(
    `select ${id} as id from ${table} where ${db} = database()`,
  );
  const ids = new Set(sessions.map(({ id }) => String(id)));
  return String(monitor?.Status)
    .split('---TRANSACTION ')
    .filter((transaction) => /^LOCK WAIT /m.test(transaction))
    .filter((transaction) => ids.has(/^(?:MySQL|MariaDB) thread id (\d+)/m.exec(transaction)?.[1] ?? '')).length;
}

/** Wait until at least `count` sessions of this database wait for a lock. */
export async function untilBlocked(kind: DatabaseKind, orm: MikroORM, count = 1): Promise<void> {
  await eventually(`${count} session(s) wait for a lock`, async () => (await blockedSessions(kind, orm)) >= count);
}

/** Whether a promise has settled, without waiting for it. */
export function watch(promise: Promise<unknown>): { settled: boolean } {
  const state = { settled: false };
  const settle = () => {
    state.settled = true;
  };
  promise.then(settle, settle);
  return state;
}

/** Start `count` calls at once, spread over `among`, and wait for all. */
export function atOnce<Member, T>(
  count: number,
  among: readonly Member[],
  call: (member: Member, n: number) => Promise<T>,
): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => call(among[n % among.length] as Member, n)));
}
