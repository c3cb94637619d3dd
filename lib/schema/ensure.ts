import { type EntityManager, type EntityMetadata, TableExistsException } from '@mikro-orm/core';
import type { Database } from '../../schemas/database';
import { RETRY_FOR_MS, type RetryOptions } from '../attempts';
import { dialectOf } from '../dialect';
import { DurableDatabaseError, DurableSchemaError } from '../errors';
import { causes, isLockTimeout } from '../failures';
import { type DurableSchemaOptions, schemaRetry } from '../options';
import { emOfTarget } from '../orm-like';
import { type OrmLike, Session, type Sql } from '../session';
import { durableMetadata, schemaInForce } from '../tables';
import { holders, locked, schemaLocked } from './boot-lock';
import { found, inspection } from './inspect';
import { creation, type Plan, plan } from './plan';

/** What a call of {@link ensureMikroOrmDurableSchema} did and saw. */
export interface DurableSchemaReport {
  /** The statements it ran; empty when the tables were complete. */
  readonly executed: readonly string[];
  /** What it saw and left alone: columns the store can work on with a loss, indexes that are not valid. */
  readonly notes: readonly string[];
}

/**
 * Add the tables, columns and indexes of the five durable tables that are missing, and nothing else: nothing is dropped,
 * renamed or retyped, and no other table is looked at. When all is there it is one query and no DDL. Any number of
 * processes may call it at once. Afterwards it looks once more whether all is there.
 *
 * A statement that finds its table locked gives up after a second at most, so that calls of other processes, which wait
 * behind it, go on; it is tried again for `retry.forMs` (default 180,000).
 *
 * Given an EntityManager that is in a transaction, a migration's for one, everything runs on that connection and in
 * that transaction, and is undone with it where the database can undo DDL (SQLite and PostgreSQL can). Nothing is tried again there.
 *
 * @throws TypeError for anything but a MikroORM instance or an EntityManager, and for options no program could mean
 * @throws DurableConfigurationError when our entities are not registered, or the database or a setting is not supported
 * @throws DurableSchemaError `DURABLE_SCHEMA_INCOMPATIBLE` when a table is there in a shape the store cannot work on,
 * `DURABLE_SCHEMA_LOCKED` when others hold the tables for longer than that, `DURABLE_SCHEMA_MISSING` when something is
 * missing still after all statements have run
 */
export async function ensureMikroOrmDurableSchema(
  target: OrmLike | EntityManager,
  options?: DurableSchemaOptions,
): Promise<DurableSchemaReport> {
  const context = contextOf(target, schemaRetry(options));
  return complete(context, await look(context));
}

/**
 * The same for a call that every process of an application makes as it boots: refused where several that add tables at once
 * could stop the servers.
 *
 * @throws DurableSchemaError `DURABLE_SCHEMA_MISSING` too, with the statements, on a MySQL group with several primaries
 */
export async function ensureSchemaOnBoot(
  target: OrmLike | EntityManager,
  options?: DurableSchemaOptions,
): Promise<void> {
  const context = contextOf(target, schemaRetry(options));
  const seen = await look(context);
  if (seen.missing.length > 0) await assertBootsMayAdd(context, seen);
  await complete(context, seen);
}

/** @throws DurableSchemaError when the tables are there in a shape the store cannot work on */
async function look(context: Context): Promise<Plan> {
  const seen = await context.session.call('ensureSchema', 'repeatable', (sql) => compare(context, sql));
  refuse(seen);
  return seen;
}

async function complete(context: Context, seen: Plan): Promise<DurableSchemaReport> {
  if (seen.missing.length === 0) return { executed: [], notes: seen.notes };
  // In the caller's transaction the statements run as they are: DDL ends a savepoint on MySQL. On SQLite each commits by
  // itself: a better-sqlite3 connection that waits for the write lock blocks its process, and with it a holder that is
  // between two statements. What a crash leaves undone is found and added by the next call.
  const run = context.joins || context.database === 'sqlite' ? 'call' : 'transaction';
  try {
    return await context.session[run]('ensureSchema', 'repeatable', (sql) => apply(context, sql, seen));
  } catch (error) {
    throw await explained(context, error);
  }
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
  const { em, metadata, database } = contextOf(target);
  return creation(em, metadata, database);
}

interface Context {
  readonly em: EntityManager;
  readonly session: Session;
  readonly metadata: readonly EntityMetadata[];
  readonly tables: readonly string[];
  readonly schema: string | undefined;
  readonly database: Database;
  /** Whether everything runs in the caller's transaction. */
  readonly joins: boolean;
  readonly forMs: number;
}

function contextOf(target: OrmLike | EntityManager, retry: RetryOptions = {}): Context {
  const { em, isGiven } = emOfTarget(target);
  const joins = isGiven && em.isInTransaction();
  const session = joins ? new Session(em).within(em) : new Session(em, retry);
  session.assertNotBlocked();
  const metadata = [...durableMetadata(em).values()];
  return {
    em,
    session,
    joins,
    metadata,
    database: dialectOf(em.getPlatform()).database,
    tables: metadata.map(({ tableName }) => tableName),
    schema: schemaInForce(em, metadata[0] as EntityMetadata),
    forMs: retry.forMs ?? RETRY_FOR_MS,
  };
}

async function compare(context: Context, sql: Sql): Promise<Plan> {
  const { em, metadata, tables, schema } = context;
  const query = inspection(sql.dialect.database, tables, schema);
  const present = found(await sql.rows(query.text, query.params));
  return plan(em, metadata, present, sql.dialect);
}

/** Look again behind a lock that the transaction's own connection holds, add what is still missing, and look once more. */
async function apply(context: Context, sql: Sql, seen: Plan): Promise<DurableSchemaReport> {
  const { schema, tables, joins, forMs } = context;
  return locked(sql, { schema, table: tables[0] as string, waitMs: forMs, joins }, async () => {
    const now = context.database === 'sqlite' ? seen : await compare(context, sql);
    refuse(now);
    if (now.missing.length === 0) return { executed: [], notes: now.notes };
    const executed: string[] = [];
    for (const statement of now.statements) {
      if (await add(context, sql, statement)) executed.push(statement);
    }
    const after = await compare(context, sql);
    refuse(after);
    assertComplete(after);
    return { executed, notes: after.notes };
  });
}

/**
 * Run a statement; false when another process was first, which the lock leaves possible where there is none (SQLite) or
 * where it is a single node's (a cluster of MySQL or MariaDB servers).
 */
async function add(context: Context, sql: Sql, statement: string): Promise<boolean> {
  try {
    await sql.run(statement, []);
    return true;
  } catch (error) {
    if (context.database !== 'postgresql' && isAlreadyThere(error)) return false;
    throw error;
  }
}

function isAlreadyThere(error: unknown): boolean {
  return causes(error).some(
    (link) => link instanceof TableExistsException || /already exists|duplicate (column|key) name/i.test(link.message),
  );
}

/** What a lock that was not to be had means here, and who has it. */
async function explained(context: Context, error: unknown): Promise<unknown> {
  if (!(error instanceof DurableDatabaseError) || !isLockTimeout(error)) return error;
  const { session, tables, schema } = context;
  const who = await session
    .call('ensureSchema', 'repeatable', (sql) => holders(sql, tables, schema))
    .catch((): string[] => []);
  return schemaLocked(who, error.cause);
}

async function assertBootsMayAdd({ session }: Context, { missing, statements }: Plan): Promise<void> {
  if (!(await session.dialect('ensureSchema')).severalPrimaries) return;
  throw new DurableSchemaError(
    'DURABLE_SCHEMA_MISSING',
    `missing: ${missing.join(', ')}. Nothing was added: this server belongs to a replication group with several primaries, which ` +
      'stands still when two of them create a table at once. Add it from one place before the application boots: call ' +
      `ensureMikroOrmDurableSchema there, in a migration for one, or run: ${statements.join('; ')}`,
    missing,
    undefined,
    statements,
  );
}

function assertComplete({ missing }: Plan): void {
  if (missing.length === 0) return;
  throw new DurableSchemaError(
    'DURABLE_SCHEMA_MISSING',
    `the statements that MikroORM made for the durable tables have run and these are missing still: ${missing.join(', ')}. ` +
      'This version of MikroORM may not be supported; planMikroOrmDurableSchema gives the statements',
    missing,
  );
}

function refuse({ problems }: Plan): void {
  if (problems.length === 0) return;
  throw new DurableSchemaError(
    'DURABLE_SCHEMA_INCOMPATIBLE',
    `the durable tables exist in a shape this store cannot work on: ${problems.join('; ')}. ` +
      'Put these right, in a migration of yours for one; nothing was changed',
    problems,
  );
}
