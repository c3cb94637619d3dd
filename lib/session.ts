import { setImmediate as macrotask } from 'node:timers/promises';
import type { EntityManager, MikroORM } from '@mikro-orm/core';
import type { Database } from '../schemas/database';
import { attempted, RETRY_FOR_MS, type Repeat, type RetryOptions, StatementError } from './attempts';
import { type Dialect, dialectOf, withServer } from './dialect';
import { DurableSchemaError, DurableTransactionError } from './errors';
import { InFlight, quiet } from './in-flight';
import { attendClient } from './knex-client';
import { redact } from './redact';
import { type SettingRow, serverSettings } from './server-settings';
import { TransactionSlots } from './transaction-slots';

/** What the store needs of a MikroORM instance; any driver's `MikroORM`, of version 6 or 7, is one. */
export type OrmLike = Pick<MikroORM, 'em'>;

export type Param = string | number | null;
export type Row = Record<string, unknown>;

/** Statements of one store call, all on one connection when inside a transaction. */
export interface Sql {
  readonly dialect: Dialect;
  /** Whether the same call may have taken effect already, and others have acted on that since: its answer was lost. */
  readonly inDoubt: boolean;
  /** Run a statement and return its rows. */
  rows(text: string, params: readonly Param[]): Promise<Row[]>;
  /** Run a statement whose effect nobody asks about. */
  run(text: string, params: readonly Param[]): Promise<void>;
  /** Run an insert, update or delete and return how many rows it hit. */
  affected(text: string, params: readonly Param[]): Promise<number>;
}

type Attempt<T> = (dialect: Dialect, inDoubt: boolean) => Promise<T>;

/** The parts of MikroORM's SQL EntityManager that both majors share. */
interface SqlEntityManager extends EntityManager {
  execute<T>(sql: string, params: readonly Param[], method: 'all' | 'run', logger: { label: string }): Promise<T>;
}

interface SqlConnection {
  begin(options: { isolationLevel?: string; ctx?: unknown; loggerContext: Logged }): Promise<unknown>;
  commit(ctx: unknown, events: undefined, logged: Logged): Promise<void>;
  rollback(ctx: unknown, events: undefined, logged: Logged): Promise<void>;
}

interface Logged {
  label: string;
}

/**
 * Runs statements through forks of the host's EntityManager: never in an ambient transaction, always on the primary,
 * labelled in the query log, retried when the database undid them, with errors that carry no values.
 */
export class Session {
  private asked: Promise<Dialect> | undefined;
  private readonly base: Dialect;
  private readonly underWay = new InFlight();
  private shared: SqlEntityManager | undefined;

  constructor(
    private readonly em: EntityManager,
    private readonly retry: RetryOptions = {},
    /** Bound to the transaction that `em` is in, instead of opening its own. */
    private readonly joined = false,
    /** The statements that would add what the schema lacks; asked when a statement has met a gap. */
    private readonly remedy?: () => Promise<readonly string[]>,
  ) {
    this.base = dialectOf(em.getPlatform());
  }

  /** A session whose statements run in the transaction `em` is in. Nothing is retried: the transaction is the caller's. */
  within(em: EntityManager): Session {
    const session = new Session(em, { attempts: 1 }, true, this.remedy);
    session.asked = this.asked;
    return session;
  }

  /** Count `work` among the calls that {@link settled} waits for. */
  counted<T>(work: () => Promise<T>): Promise<T> {
    return this.underWay.track(work);
  }

  /** The database the ORM's driver speaks to; MySQL for MariaDB too. */
  get database(): Database {
    return this.base.database;
  }

  /** Whether calls begin in the next turn of the event loop; see {@link Dialect.beginsNextTurn}. */
  get beginsNextTurn(): boolean {
    return this.base.beginsNextTurn;
  }

  /** Whether writes wait for each other in any case; see {@link Dialect.oneWriter}. */
  get oneWriter(): boolean {
    return this.base.oneWriter;
  }

  /** One statement, or several that need no common transaction, of a call that goes by itself. */
  async call<T>(label: string, repeat: Repeat, work: (sql: Sql) => Promise<T>): Promise<T> {
    this.assertNotBlocked();
    return this.underWay.track(async () => {
      if (this.base.beginsNextTurn) await macrotask();
      return this.together(label, repeat, work);
    });
  }

  /** The same for calls that have gathered, which takes a turn of the event loop where one is needed. */
  async together<T>(label: string, repeat: Repeat, work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.persist(label, repeat, async (dialect, inDoubt) =>
      work(this.statements(label, this.outside(), dialect, inDoubt)),
    );
  }

  /**
   * Statements that take effect together or not at all. `work` may run more than once. Waits in order while as many
   * transactions are open as the pool can spare; see {@link TransactionSlots}.
   */
  async transaction<T>(label: string, repeat: Repeat, work: (sql: Sql) => Promise<T>): Promise<T> {
    this.assertNotBlocked();
    return this.slotted(label, () => this.briefTransaction(label, repeat, work));
  }

  /** Do work that holds a connection for long, when the pool can spare one. */
  async slotted<T>(label: string, work: () => Promise<T>): Promise<T> {
    if (this.joined) return work();
    return this.underWay.track(async () => {
      if (this.base.beginsNextTurn) await macrotask();
      return TransactionSlots.of(this.em).run(label, this.retry.forMs ?? RETRY_FOR_MS, work);
    });
  }

  /** A transaction that asks for no place among the others: it waits for nobody's locks, or its caller has a place. */
  async briefTransaction<T>(label: string, repeat: Repeat, work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.persist(label, repeat, async (dialect, inDoubt) => {
      const em = this.fork();
      const connection = em.getConnection('write') as unknown as SqlConnection;
      const logged = { label };
      const ctx = await connection.begin({
        ...(this.joined ? { ctx: em.getTransactionContext() } : {}),
        ...(!this.joined && dialect.isolation ? { isolationLevel: dialect.isolation } : {}),
        loggerContext: logged,
      });
      const inner = this.joined ? em.fork({ keepTransactionContext: true }) : em;
      inner.setTransactionContext(ctx as never);
      let committing = false;
      try {
        const result = await work(this.statements(label, inner as SqlEntityManager, dialect, inDoubt));
        committing = true;
        await connection.commit(ctx, undefined, logged);
        return result;
      } catch (error) {
        // The connection may be gone, and with it the transaction; the first error is the one that tells.
        await connection.rollback(ctx, undefined, logged).catch(() => undefined);
        if (error instanceof StatementError && !committing) throw new StatementError(error.cause, true);
        throw error;
      }
    });
  }

  /** Removals whose rows are wanted: statements by themselves that return them, or a transaction in which they are looked at first. */
  async removal<T>(
    label: string,
    looksFirst: (dialect: Dialect) => boolean,
    work: (sql: Sql) => Promise<T>,
  ): Promise<T> {
    const looks = looksFirst(await this.dialect(label));
    return looks ? this.transaction(label, 'once', work) : this.call(label, 'once', work);
  }

  /** Resolve when no call is under way, and after `boundMs` in any case. */
  async settled(boundMs: number): Promise<void> {
    // What has just begun may not have reached its first statement.
    await macrotask();
    await quiet(this.underWay, boundMs);
  }

  /** The dialect of the real server. Asking is a call like any other: tried again, and failing with an error of ours. */
  async dialect(label: string): Promise<Dialect> {
    if (!this.base.probe) return this.base;
    this.assertNotBlocked();
    return this.underWay.track(() => this.attempt(label, 'repeatable', async (dialect) => dialect));
  }

  private async server(): Promise<Dialect> {
    if (!this.base.probe) return this.base;
    this.asked ??= this.ask(this.base.probe);
    return this.asked.catch((error) => {
      this.asked = undefined;
      throw error;
    });
  }

  /**
   * Fail a call that could only wait for itself: an open transaction of the caller holds the one connection there is.
   *
   * @throws DurableTransactionError `DURABLE_WOULD_DEADLOCK`
   */
  assertNotBlocked(): void {
    if (this.joined || !this.hasSingleConnection() || !holdsOpenTransaction(this.em)) return;
    throw new DurableTransactionError(
      'DURABLE_WOULD_DEADLOCK',
      'the store was called inside a transaction that holds the only connection of this ORM, and would wait for itself; ' +
        'make the call after the transaction, or join it explicitly with store.withTransaction(em)',
    );
  }

  private async ask(probe: string): Promise<Dialect> {
    const rows = await this.statements('probe', this.outside(), this.base, false).rows(probe, []);
    return withServer(this.base, serverSettings(rows as unknown as SettingRow[]));
  }

  /**
   * The EntityManager of statements that stand by themselves. It is in no transaction and holds no state that they could
   * leave behind, so that all of them share one: forking for each costs half as much again as a short statement on SQLite.
   */
  private outside(): SqlEntityManager {
    if (this.joined) return this.fork();
    this.shared ??= this.fork();
    return this.shared;
  }

  private fork(): SqlEntityManager {
    return this.em.fork(
      this.joined ? { keepTransactionContext: true } : { disableContextResolution: true },
    ) as SqlEntityManager;
  }

  private hasSingleConnection(): boolean {
    return this.base.database === 'sqlite' || this.em.config.get('pool')?.max === 1;
  }

  private async persist<T>(label: string, repeat: Repeat, work: Attempt<T>): Promise<T> {
    this.assertNotBlocked();
    return this.underWay.track(() => this.attempt(label, repeat, work));
  }

  private async attempt<T>(label: string, repeat: Repeat, work: Attempt<T>): Promise<T> {
    try {
      return await attempted(label, this.retry, repeat, async (inDoubt) => {
        await attendClient(this.em);
        return work(await this.server(), inDoubt);
      });
    } catch (error) {
      throw error instanceof DurableSchemaError ? await this.remedied(error) : error;
    }
  }

  /** The error with the statements that mend it, where they can be had. */
  private async remedied(error: DurableSchemaError): Promise<DurableSchemaError> {
    if (error.code !== 'DURABLE_SCHEMA_MISSING' || !this.remedy || error.statements.length > 0) return error;
    const statements = await this.remedy().catch(() => []);
    if (statements.length === 0) return error;
    const message = `${error.message}; or run: ${statements.join('; ')}`;
    return new DurableSchemaError(error.code, message, error.problems, error.cause, statements);
  }

  private statements(label: string, em: SqlEntityManager, dialect: Dialect, inDoubt: boolean): Sql {
    const execute = async <T>(text: string, params: readonly Param[], method: 'all' | 'run'): Promise<T> => {
      try {
        return await em.execute<T>(text, params, method, { label });
      } catch (error) {
        throw new StatementError(redact(error, em.getPlatform(), text, params));
      }
    };
    return {
      dialect,
      inDoubt,
      rows: (text, params) => execute<Row[]>(returning(text, dialect), params, 'all'),
      run: async (text, params) => {
        await execute(text, params, 'run');
      },
      affected: async (text, params) => {
        if (dialect.effect === 'rows') {
          return (await execute<Row[]>(returning(`${text} returning 1`, dialect), params, 'all')).length;
        }
        return (await execute<{ affectedRows: number }>(text, params, 'run')).affectedRows;
      },
    };
  }
}

function returning(text: string, dialect: Dialect): string {
  return text.startsWith('delete') ? dialect.deletePrefix + text : text;
}

/**
 * Whether the caller runs inside a transaction of this ORM that is still open. The context outlives its transaction in
 * work that was started there and not awaited, so the transaction itself is asked too (knex in 6, kysely in 7).
 */
function holdsOpenTransaction(em: EntityManager): boolean {
  if (!em.isInTransaction()) return false;
  const ctx = em.getTransactionContext() as
    | { isCompleted?: () => boolean; isCommitted?: boolean; isRolledBack?: boolean }
    | undefined;
  return !(ctx?.isCompleted?.() ?? (ctx?.isCommitted || ctx?.isRolledBack));
}
