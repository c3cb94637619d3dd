import { type EntityManager, type EntityMetadata, TableExistsException } from '@mikro-orm/core';
import type { Database } from '../../schemas/database';
import { dialectOf } from '../dialect';
import { DurableSchemaError } from '../errors';
import { causes } from '../failures';
import { emOfTarget } from '../orm-like';
import { type OrmLike, Session, type Sql } from '../session';
import { durableMetadata, schemaInForce } from '../tables';
import { found, inspection } from './inspect';
import { creation, type Plan, plan } from './plan';

/** What a call of {@link ensureMikroOrmDurableSchema} did and saw. */
export interface DurableSchemaReport {
  /** The statements it ran; empty when the tables were complete. */
  readonly executed: readonly string[];
  /** What it saw and left alone: columns of another type that the store can work on with a loss. */
  readonly notes: readonly string[];
}

const LOCK = 'durable-store-mikro-orm';
const LOCK_WAIT_SECONDS = 60;

/**
 * Add the tables, columns and indexes of the five durable tables that are missing, and nothing else: nothing is dropped,
 * renamed or retyped, and no other table is looked at. When all is there it is one query and no DDL. Any number of
 * processes may call it at once.
 *
 * Given an EntityManager that is in a transaction, a migration's for one, everything runs on that connection and in
 * that transaction, and is undone with it where the database can undo DDL (SQLite and PostgreSQL can).
 *
 * @throws TypeError for anything but a MikroORM instance or an EntityManager
 * @throws DurableConfigurationError when our entities are not registered or the database is not supported
 * @throws DurableSchemaError `DURABLE_SCHEMA_INCOMPATIBLE` when a table is there in a shape the store cannot work on
 */
export async function ensureMikroOrmDurableSchema(target: OrmLike | EntityManager): Promise<DurableSchemaReport> {
  const context = contextOf(target);
  const seen = await context.session.call('ensureSchema', 'repeatable', (sql) => compare(context, sql));
  refuse(seen);
  if (seen.statements.length === 0) return { executed: [], notes: seen.notes };
  // In the caller's transaction the statements run as they are: DDL ends a savepoint on MySQL. On SQLite each commits by
  // itself: a better-sqlite3 connection that waits for the write lock blocks its process, and with it a holder that is
  // between two statements. What a crash leaves undone is found and added by the next call.
  const run = context.joins || context.database === 'sqlite' ? 'call' : 'transaction';
  return context.session[run]('ensureSchema', 'repeatable', (sql) => apply(context, sql, seen));
}

/** The statements {@link ensureMikroOrmDurableSchema} would run now, without running them. */
export async function planMikroOrmDurableSchema(target: OrmLike | EntityManager): Promise<Plan> {
  const context = contextOf(target);
  return context.session.call('planSchema', 'repeatable', (sql) => compare(context, sql));
}

/**
 * The statements that create the five tables from nothing, as MikroORM generates them for this ORM's database. Never
 * touches the database.
 */
export async function durableSchemaSql(target: OrmLike | EntityManager): Promise<string[]> {
  const { em, metadata } = contextOf(target);
  return creation(em, metadata);
}

interface Context {
  readonly em: EntityManager;
  readonly session: Session;
  readonly metadata: readonly EntityMetadata[];
  readonly schema: string | undefined;
  readonly database: Database;
  /** Whether everything runs in the caller's transaction. */
  readonly joins: boolean;
}

function contextOf(target: OrmLike | EntityManager): Context {
  const { em, isGiven } = emOfTarget(target);
  const joins = isGiven && em.isInTransaction();
  const session = joins ? new Session(em).within(em) : new Session(em);
  session.assertNotBlocked();
  const metadata = [...durableMetadata(em).values()];
  const { database } = dialectOf(em.getPlatform());
  return { em, session, database, joins, metadata, schema: schemaInForce(em, metadata[0] as EntityMetadata) };
}

async function compare(context: Context, sql: Sql): Promise<Plan> {
  const { em, metadata, schema } = context;
  const query = inspection(
    sql.dialect.database,
    metadata.map((meta) => meta.tableName),
    schema,
  );
  const present = found(await sql.rows(query.text, query.params));
  return plan(em, metadata, present, sql.dialect);
}

/** Look again behind a lock that the transaction's own connection holds, then add what is still missing. */
async function apply(context: Context, sql: Sql, seen: Plan): Promise<DurableSchemaReport> {
  return locked(sql, async () => {
    const now = context.database === 'sqlite' ? seen : await compare(context, sql);
    refuse(now);
    const executed: string[] = [];
    for (const statement of now.statements) {
      if (await add(context, sql, statement)) executed.push(statement);
    }
    return { executed, notes: now.notes };
  });
}

/** Run a statement; false when another process was first, which only SQLite, having no lock to hold, lets happen. */
async function add(context: Context, sql: Sql, statement: string): Promise<boolean> {
  try {
    await sql.run(statement, []);
    return true;
  } catch (error) {
    if (context.database === 'sqlite' && isAlreadyThere(error)) return false;
    throw error;
  }
}

async function locked<T>(sql: Sql, work: () => Promise<T>): Promise<T> {
  switch (sql.dialect.database) {
    case 'sqlite':
      return work();
    case 'postgresql':
      await sql.rows('select pg_advisory_xact_lock(hashtext(?), hashtext(current_schema()))', [LOCK]);
      return work();
    case 'mysql': {
      // MySQL commits at each DDL statement, so the lock is the session's and is given back by hand.
      const [row] = await sql.rows(`select get_lock(concat(?, database()), ${LOCK_WAIT_SECONDS}) as taken`, [LOCK]);
      if (Number(row?.taken) !== 1) {
        throw new DurableSchemaError(
          'DURABLE_SCHEMA_MISSING',
          'another process has been creating the durable tables for too long',
        );
      }
      try {
        return await work();
      } finally {
        await sql.rows('select release_lock(concat(?, database()))', [LOCK]);
      }
    }
  }
}

function isAlreadyThere(error: unknown): boolean {
  return causes(error).some(
    (link) => link instanceof TableExistsException || /already exists|duplicate column/i.test(link.message),
  );
}

function refuse({ problems }: Plan): void {
  if (problems.length === 0) return;
  throw new DurableSchemaError(
    'DURABLE_SCHEMA_INCOMPATIBLE',
    `the durable tables exist in a shape this store cannot work on: ${problems.join('; ')}. ` +
      'Change these columns in a migration of yours; nothing was changed',
    problems,
  );
}
