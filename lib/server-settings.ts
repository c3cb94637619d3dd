import { bufferedSignal } from '../schemas/buffered-signal';
import { DurableConfigurationError } from './errors';

/** What a server said about itself, once per store: settings by name, as far as it has them. */
export type ServerSettings = ReadonlyMap<string, string>;

/** A row of a probe. */
export interface SettingRow {
  readonly Variable_name: unknown;
  readonly Value: unknown;
}

const MYSQL_SETTINGS = [
  'version',
  'sql_mode',
  'autocommit',
  'completion_type',
  'character_set_client',
  'character_set_results',
  'sql_select_limit',
  'log_bin',
  'binlog_format',
  'transaction_isolation',
  'tx_isolation',
  'wsrep_on',
  'group_replication_single_primary_mode',
];

/** The one statement that asks a server for its settings. A setting that the server does not have is no row. */
export const PROBES = {
  mysql: `show session variables where variable_name in (${MYSQL_SETTINGS.map((name) => `'${name}'`).join(', ')})`,
  postgresql:
    `select 'server_encoding' as "Variable_name", current_setting('server_encoding') as "Value" ` +
    // The sequence of a serial column has rights of its own, which grants on tables leave out.
    `union all select 'missing_grant', format('grant usage on sequence %s to %I', s.seqrelid::regclass, current_user) ` +
    `from pg_class t join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid and d.deptype = 'a' ` +
    `and d.classid = 'pg_class'::regclass join pg_sequence s on s.seqrelid = d.objid ` +
    `where t.relname = '${bufferedSignal.table}' and has_table_privilege(t.oid, 'insert') ` +
    `and not has_sequence_privilege(s.seqrelid, 'usage, update')`,
} as const;

/** The settings in a probe's answer. */
export function serverSettings(rows: readonly SettingRow[]): ServerSettings {
  return new Map(rows.map((row) => [String(row.Variable_name).toLowerCase(), String(row.Value ?? '')]));
}

/** Whether the server is a node of a Galera cluster. */
export function isClustered(settings: ServerSettings): boolean {
  return is(settings, 'wsrep_on', 'ON');
}

/** Whether the server belongs to a replication group whose members all take writes. */
export function hasSeveralPrimaries(settings: ServerSettings): boolean {
  return is(settings, 'group_replication_single_primary_mode', 'OFF');
}

/** Whether the server writes its binary log as statements, which InnoDB refuses under READ COMMITTED. */
export function logsStatements(settings: ServerSettings): boolean {
  return is(settings, 'log_bin', 'ON') && is(settings, 'binlog_format', 'STATEMENT');
}

/** Modes of MySQL or MariaDB that change what statements mean, and what comes of that. */
const UNSUPPORTED_MODES = [
  // MikroORM escapes parameters on the client with backslashes; this mode would turn data into SQL.
  ['NO_BACKSLASH_ESCAPES', 'MikroORM cannot escape parameters'],
  ['EMPTY_STRING_IS_NULL', 'empty text is stored as NULL'],
  // knex begins a transaction so.
  ['ORACLE', 'BEGIN begins a block of a program and no transaction'],
] as const;

/**
 * Refuse a MySQL or MariaDB session on which the store would be wrong without anybody noticing.
 *
 * @throws DurableConfigurationError `DURABLE_UNSUPPORTED_SQL_MODE` or `DURABLE_UNSUPPORTED_SETTING`
 */
export function assertMysqlSettings(settings: ServerSettings): void {
  for (const [mode, consequence] of UNSUPPORTED_MODES) {
    if (!settings.get('sql_mode')?.toUpperCase().split(',').includes(mode)) continue;
    throw new DurableConfigurationError(
      'DURABLE_UNSUPPORTED_SQL_MODE',
      `the sql_mode of this connection holds ${mode}, under which ${consequence}; remove it`,
    );
  }
  if (is(settings, 'autocommit', 'OFF')) {
    throw unsupported(
      'autocommit is off in this session, so that nothing a call has written is kept; set autocommit = 1 for the ' +
        "application's connections (look at init_connect, the server's configuration and hooks of the pool)",
    );
  }
  const completion = settings.get('completion_type') ?? 'NO_CHAIN';
  if (!/^(NO_CHAIN|0)$/i.test(completion)) {
    throw unsupported(
      `completion_type of this session is ${completion}, so that what is written after a transaction is not kept; set ` +
        'completion_type = NO_CHAIN',
    );
  }
  for (const setting of ['character_set_client', 'character_set_results']) {
    const charset = settings.get(setting);
    if (charset && charset !== 'utf8mb4') {
      throw unsupported(
        `${setting} of this session is ${charset}, which cannot carry all of Unicode; connect with charset utf8mb4`,
      );
    }
  }
  // Every server has this one: where it is missing, it has cut the answer itself.
  const rows = settings.get('sql_select_limit') ?? '';
  if (rows.length < UNLIMITED_DIGITS) {
    throw unsupported(
      `sql_select_limit of this session is ${rows || 'very low'}, which cuts every listing without a word; set sql_select_limit = default`,
    );
  }
  const isolation = settings.get('transaction_isolation') ?? settings.get('tx_isolation') ?? '';
  if (logsStatements(settings) && /^READ-/i.test(isolation)) {
    throw unsupported(
      `binlog_format is STATEMENT and the isolation level of this session ${isolation}, under which InnoDB refuses every ` +
        'write; set binlog_format = ROW, or transaction_isolation = REPEATABLE-READ',
    );
  }
}

/**
 * Refuse a PostgreSQL database whose text is not Unicode, where characters it does not have fail single runs, and a role
 * that may insert into our tables but not count: the engine goes on without what it could not buffer.
 *
 * @throws DurableConfigurationError `DURABLE_UNSUPPORTED_SETTING` or `DURABLE_MISSING_GRANT`
 */
export function assertPostgresqlSettings(settings: ServerSettings): void {
  const encoding = settings.get('server_encoding') ?? 'UTF8';
  if (encoding !== 'UTF8') {
    throw unsupported(
      `the encoding of this database is ${encoding}, which cannot hold all of Unicode or does not check it; ` +
        "move to a database made with: create database … encoding 'UTF8' template template0",
    );
  }
  const grant = settings.get('missing_grant');
  if (grant === undefined) return;
  throw new DurableConfigurationError(
    'DURABLE_MISSING_GRANT',
    `this role may insert into ${bufferedSignal.table} but not use the sequence of its key; run: ${grant}`,
  );
}

/** The server's own "no limit" is 2^64 - 1, older ones say 2^32 - 1; nobody who wants a limit writes one that long. */
const UNLIMITED_DIGITS = 10;

function is(settings: ServerSettings, name: string, value: string): boolean {
  return settings.get(name)?.toUpperCase() === value;
}

function unsupported(problem: string): DurableConfigurationError {
  return new DurableConfigurationError('DURABLE_UNSUPPORTED_SETTING', problem);
}
