/**
 * What a failed statement means for trying again: `rolled-back` and `not-sent` changed nothing, after `in-doubt` nobody
 * knows, and `final` fails the same way next time.
 */
export type Failure = 'rolled-back' | 'not-sent' | 'in-doubt' | 'final';

/** What a server says that takes no writes: a primary that is one no more, or not yet. */
const TAKES_NO_WRITES: readonly (string | number)[] = [
  ...['25006', 'ER_OPTION_PREVENTS_STATEMENT', 1290, 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION', 1792],
  ...['ER_READ_ONLY_MODE', 1836],
];

/** What a Galera node says that is joining or alone. Of anybody else the number means that a command does not exist. */
const NODE_NOT_READY = /WSREP has not yet prepared node/;

/** SQLSTATEs of PostgreSQL, names and numbers of MySQL and MariaDB, names of SQLite, of the drivers and of the system. */
const CODES: Readonly<Record<Exclude<Failure, 'final'>, readonly (string | number)[]>> = {
  'rolled-back': [
    // Deadlocks, serialization failures, waits for a lock that ended.
    ...['40000', '40001', '40P01', '55P03'],
    ...['ER_LOCK_DEADLOCK', 1213, 'ER_LOCK_WAIT_TIMEOUT', 1205, 'ER_CHECKREAD', 1020, 'ER_TABLE_DEF_CHANGED', 1412],
    ...['SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT', 'SQLITE_BUSY_RECOVERY', 'SQLITE_BUSY_TIMEOUT'],
    ...['SQLITE_LOCKED', 'SQLITE_LOCKED_SHAREDCACHE', 'SQLITE_PROTOCOL'],
    // Cut short by the server's own limits, or by an administrator: usually in a wait for a lock.
    ...['57014', 'ER_QUERY_INTERRUPTED', 1317, 'ER_QUERY_TIMEOUT', 3024, 'ER_STATEMENT_TIMEOUT', 1969],
    // A session that idled in a transaction, or a transaction that lasted too long: ended before its commit.
    ...['25P03', '25P04'],
    // Certification against the other members of Group Replication.
    ...['ER_TRANSACTION_ROLLBACK_DURING_COMMIT', 3101],
  ],
  'not-sent': [
    // No way to the server.
    ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', '08001', '08004', 2002, 2003, 'ER_CONNECTION_TIMEOUT', 45012],
    ...['ER_GET_CONNECTION_TIMEOUT', 45028, 'ER_CMD_NOT_EXECUTED_DESTROYED', 45004],
    // No place on it.
    ...['53300', 'ER_CON_COUNT_ERROR', 1040, 'ER_TOO_MANY_USER_CONNECTIONS', 1203, 'ER_USER_LIMIT_REACHED', 1226],
    // It is starting, stopping, or closed to users.
    ...['57P03', 'ER_SERVER_OFFLINE_MODE', 3032, 'ER_SERVER_ISNT_AVAILABLE', 3168],
    // It had ended the idle session before it read the statement.
    ...['57P05', 'ER_CLIENT_INTERACTION_TIMEOUT', 4031],
    ...TAKES_NO_WRITES,
  ],
  'in-doubt': [
    ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'],
    // An administrator's end of a session may arrive after the commit and before its answer.
    ...['57P01', '57P02', '57P04', '08000', '08003', '08006', '08007', '08P01', '40003'],
    ...['PROTOCOL_CONNECTION_LOST', 'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR', 'ER_SERVER_SHUTDOWN', 1053, 2006, 2013],
    ...['ER_CONNECTION_KILLED', 1927, 1152, 1158, 1159, 1160, 1161, 'ER_SOCKET_UNEXPECTED_CLOSE', 45009],
    ...['ER_CMD_CONNECTION_CLOSED', 45013, 'ER_CONNECTION_ALREADY_CLOSED', 45001, 'ER_SOCKET_TIMEOUT', 45026],
    // A member left its cluster while the others were being asked.
    ...['ER_ERROR_DURING_COMMIT', 1180],
  ],
};

export const FAILURE_OF_CODE: ReadonlyMap<unknown, Failure> = new Map(
  Object.entries(CODES).flatMap(([failure, codes]) => codes.map((code) => [code, failure as Failure] as const)),
);

/**
 * What the words say where a code says too little or is missing. They come before the code; the first that fit count.
 * `pg`, `knex` and PgBouncer say most of theirs without a code of their own.
 */
export const FAILURE_OF_WORDS: readonly (readonly [words: RegExp, failure: Failure])[] = [
  // PgBouncer, which has 08P01 for everything: the client waited for a server connection, or was not let in.
  [/query_wait_timeout|server login has been failing|no more connections allowed|pgbouncer cannot connect/, 'not-sent'],
  [/client_login_timeout|login rejected/, 'not-sent'],
  [/authentication failed|database "[^"]*" does not exist|no such (?:database|user)/, 'final'],
  [NODE_NOT_READY, 'not-sent'],
  // InnoDB's own number of a deadlock, found by the other members of a Galera cluster.
  [/Got error 149 .*during COMMIT/, 'rolled-back'],
  // Group Replication: asked before the transaction has begun, or while the others decide about it.
  [/replication hook 'before_begin'/, 'not-sent'],
  [/replication hook 'before_commit'/, 'in-doubt'],
  [/Max connect (?:timeout|failure) (?:reached|while) .*hostgroup/, 'not-sent'],
  // The pool had no connection in time, or none could be opened.
  [/Timeout acquiring a connection|failed to create socket|timeout exceeded when trying to connect/, 'not-sent'],
  [/^timeout expired$/, 'not-sent'],
  // Found dead before the whole statement was handed over: a server acts on no part of one.
  [/\bwrite (?:EPIPE|ECONNRESET)$/, 'not-sent'],
  [/Connection terminated|Client has encountered a connection error|Client was closed|server conn crashed/, 'in-doubt'],
  [/connection is in closed state|Connection lost|socket has unexpectedly been closed/, 'in-doubt'],
  // knex ends a transaction whose connection has died, and then says no more than that.
  [/Transaction query already complete/, 'in-doubt'],
];

/** Of an error while a connection was looked for or opened, however far that went; see `knex-client`. */
export const ACQUIRING = 'acquire';

/** SQLSTATE classes of a statement or session that cannot work whatever the row: no right, no such table, not here. */
export const NO_ROWS_FAULT = /^(?:08|0A|25|28|3D|3F|42)/;

/** Codes and words of a server that another one, behind the same address, may stand in for by now. */
export const WRONG_SERVER = { codes: new Set<unknown>(TAKES_NO_WRITES), words: NODE_NOT_READY };
