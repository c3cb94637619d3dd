import { DurableSchemaError } from '../errors';
import type { Param, Row, Sql } from '../session';

/** What {@link locked} protects, and how long it waits. */
export interface Protected {
  /** The database schema the tables go to; the one unqualified names find when absent. */
  readonly schema: string | undefined;
  /** One of our tables: where it is already is where the others go. */
  readonly table: string;
  /** Longest wait for another process that is completing the tables. */
  readonly waitMs: number;
  /** Whether the statements run in the caller's transaction, whose settings have to be as before afterwards. */
  readonly joins: boolean;
}

/**
 * Do `work` while no other process completes the same tables, with short waits for the locks of its statements. A
 * statement that changes a table waits for every transaction that has read it, a dump's for one, and all who come after
 * wait behind that statement: it gives up soon, lets them pass and is tried again.
 */
export function locked<T>(sql: Sql, what: Protected, work: () => Promise<T>): Promise<T> {
  switch (sql.dialect.database) {
    // There is one write lock, which every statement takes for itself.
    case 'sqlite':
      return work();
    case 'postgresql':
      return lockedByTransaction(sql, what, work);
    case 'mysql':
      return lockedBySession(sql, what, work);
  }
}

const NAME = 'durable-store-mikro-orm';
const STATEMENT_WAIT_MS = 500;
/** MySQL counts this wait in whole seconds. */
const STATEMENT_WAIT_SECONDS = 1;
const SHORTEST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 86_400_000;

async function lockedByTransaction<T>(sql: Sql, what: Protected, work: () => Promise<T>): Promise<T> {
  const [before] = await sql.rows("select current_setting('lock_timeout') as timeout", []);
  await wait(sql, `${waitMs(what)}ms`);
  await sql.rows(`select pg_advisory_xact_lock(${POSTGRESQL_KEY})`, postgresqlKey(what));
  await wait(sql, `${STATEMENT_WAIT_MS}ms`);
  const result = await work();
  if (what.joins) await wait(sql, String(before?.timeout));
  return result;
}

async function wait(sql: Sql, timeout: string): Promise<void> {
  await sql.rows("select set_config('lock_timeout', ?, true)", [timeout]);
}

/** The lock's two numbers: whose it is, and the schema the tables are in, or will be. Advisory locks are a database's own. */
const POSTGRESQL_KEY =
  'hashtext(?), hashtext(coalesce(?::text, (select n.nspname from pg_class t join pg_namespace n on n.oid = t.relnamespace ' +
  'where t.relname = ? and pg_table_is_visible(t.oid)), current_schema()::text))';

function postgresqlKey({ schema, table }: Protected): Param[] {
  return [NAME, schema ?? null, table];
}

/** MySQL commits at each DDL statement, so the lock is the session's and is given back by hand. */
async function lockedBySession<T>(sql: Sql, what: Protected, work: () => Promise<T>): Promise<T> {
  const key = [`${NAME}:`, what.schema ?? null];
  const seconds = Math.ceil(waitMs(what) / 1000);
  const [row] = await sql.rows(`select get_lock(${MYSQL_KEY}, ${seconds}) as taken`, key);
  if (Number(row?.taken) !== 1) throw await heldBySomebody(sql, key);
  try {
    return await withStatementWait(sql, work);
  } finally {
    // The session may be gone, and its lock with it; the first error is the one that tells.
    await sql.rows(`select release_lock(${MYSQL_KEY})`, key).catch(() => undefined);
  }
}

/** A lock's name has 64 characters at most, a database's may have as many. `sha1` and `md5` leave with MySQL 9.6. */
const MYSQL_KEY = 'concat(?, left(sha2(lower(coalesce(?, database())), 256), 40))';

async function withStatementWait<T>(sql: Sql, work: () => Promise<T>): Promise<T> {
  const [before] = await sql.rows('select @@session.lock_wait_timeout as seconds', []);
  await sql.run(`set session lock_wait_timeout = ${STATEMENT_WAIT_SECONDS}`, []);
  try {
    return await work();
  } finally {
    // The connection goes back to the pool, and to the host's own statements.
    await sql.run(`set session lock_wait_timeout = ${Number(before?.seconds)}`, []).catch(() => undefined);
  }
}

async function heldBySomebody(sql: Sql, key: Param[]): Promise<DurableSchemaError> {
  const [row] = await sql.rows(`select is_used_lock(${MYSQL_KEY}) as id`, key);
  return schemaLocked(row?.id ? [`connection ${row.id} is completing the durable tables`] : []);
}

function waitMs({ waitMs: wanted }: Protected): number {
  return Math.min(Math.max(wanted, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
}

/** The error of tables, or a schema lock, that others have kept for too long. */
export function schemaLocked(holders: readonly string[], cause?: unknown): DurableSchemaError {
  const who = holders.length > 0 ? `: ${holders.join('; ')}` : '';
  return new DurableSchemaError(
    'DURABLE_SCHEMA_LOCKED',
    `the durable tables could not be completed, because others hold locks on them or are completing them themselves${who}. ` +
      'End these transactions (dumps, reports, forgotten sessions; docs/operations.md says how to find them) and try again',
    holders,
    cause,
  );
}

/** Who holds locks on our tables, longest first, as far as this role may see. */
export async function holders(sql: Sql, tables: readonly string[], schema: string | undefined): Promise<string[]> {
  const names = tables.map(() => '?').join(', ');
  switch (sql.dialect.database) {
    case 'sqlite':
      return [];
    case 'postgresql':
      return (await sql.rows(postgresqlHolders(names), [...tables, NAME])).map(described);
    case 'mysql':
      return (await mysqlHolders(sql, names, tables, schema)).map(described);
  }
}

function postgresqlHolders(names: string): string {
  return (
    'select a.pid as id, a.usename as "user", a.application_name as program, ' +
    'extract(epoch from clock_timestamp() - a.xact_start)::int as seconds ' +
    'from pg_stat_activity a where a.pid in (select l.pid from pg_locks l left join pg_class t on t.oid = l.relation ' +
    'where l.granted and l.pid <> pg_backend_pid() ' +
    'and l.database = (select d.oid from pg_database d where d.datname = current_database()) ' +
    `and (t.relname in (${names}) or l.locktype = 'advisory' and l.classid = (hashtext(?)::bigint & 4294967295)::oid)) ` +
    'order by a.xact_start nulls last limit 5'
  );
}

/** MySQL knows who holds which table; MariaDB, without a plugin, only which transactions are open. */
async function mysqlHolders(sql: Sql, names: string, tables: readonly string[], schema: string | undefined) {
  const byTable =
    'select t.processlist_id as id, t.processlist_user as user, t.processlist_host as program, max(t.processlist_time) as seconds ' +
    'from performance_schema.metadata_locks l join performance_schema.threads t on t.thread_id = l.owner_thread_id ' +
    "where l.object_type = 'TABLE' and l.lock_status = 'GRANTED' and l.object_schema = coalesce(?, database()) " +
    `and l.object_name in (${names}) and t.processlist_id <> connection_id() group by 1, 2, 3 order by 4 desc limit 5`;
  const open =
    "select trx_mysql_thread_id as id, '' as user, '' as program, timestampdiff(second, trx_started, now()) as seconds " +
    'from information_schema.innodb_trx where trx_mysql_thread_id <> connection_id() order by trx_started limit 5';
  const found = await sql.rows(byTable, [schema ?? null, ...tables]).catch((): Row[] => []);
  return found.length > 0 ? found : sql.rows(open, []);
}

function described({ id, user, program, seconds }: Row): string {
  const who = [user, program].filter(Boolean).join(', ');
  const since = seconds === null ? '' : ` for ${Number(seconds)} s`;
  return `connection ${id}${who ? ` (${who})` : ''}, in a transaction${since}`;
}
