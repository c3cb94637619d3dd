import type { Failure } from '../../lib/failure-codes';

/** An error that no server at hand gives on demand, with the facts its driver put on it. */
export interface Captured {
  readonly what: string;
  /** Where it was seen, or what says that it looks like this. */
  readonly source: string;
  readonly failure: Failure;
  readonly message: string;
  readonly facts: object;
}

const pgBouncer = { code: '08P01', severity: 'FATAL' };
const PGBOUNCER = 'PgBouncer 1.18 in transaction mode before PostgreSQL 15, through pg 8.20';
const PGBOUNCER_DOCUMENTED = 'as PgBouncer documents it, not seen here';
const MYSQL = 'the error reference of MySQL, in the form mysql2 3.20 gives errors';
const MARIADB = 'the error reference of MariaDB, in the form mariadb 3.4 gives errors';
const NODES = 'as MariaDB documents it for Galera, not seen here';
const GROUP = 'as MySQL documents it for Group Replication, not seen here';

export const CAPTURED: readonly Captured[] = [
  pooled('waits in vain for a server connection', PGBOUNCER, 'not-sent', 'select 1 - query_wait_timeout'),
  pooled('is full', PGBOUNCER, 'not-sent', 'no more connections allowed (max_client_conn)'),
  pooled(
    'cannot reach its server',
    PGBOUNCER_DOCUMENTED,
    'not-sent',
    'server login has been failing, try again later (server_login_retry)',
  ),
  pooled('loses its server connection', PGBOUNCER, 'in-doubt', 'select 1 - server conn crashed?'),
  pooled('cuts a long statement', PGBOUNCER_DOCUMENTED, 'in-doubt', 'select 1 - query_timeout'),
  pooled('does not know the database', PGBOUNCER, 'final', 'database "app" does not exist'),
  pooled('does not know the user', PGBOUNCER, 'final', '"trust" authentication failed'),
  postgres('is starting', 'not-sent', '57P03', 'the database system is starting up'),
  postgres('is stopping', 'not-sent', '57P03', 'the database system is shutting down'),
  postgres('has no place left', 'not-sent', '53300', 'sorry, too many clients already'),
  postgres(
    'ended a session that idled in a transaction',
    'rolled-back',
    '25P03',
    'terminating connection due to idle-in-transaction timeout',
  ),
  postgres(
    'ended a session that idled',
    'not-sent',
    '57P05',
    'select 1 - terminating connection due to idle-session timeout',
  ),
  postgres(
    'ended a session for an administrator',
    'in-doubt',
    '57P01',
    'select 1 - terminating connection due to administrator command',
  ),
  postgres('crashed', 'in-doubt', '57P02', 'terminating connection because of crash of another server process'),
  postgres('undid for serializability', 'rolled-back', '40001', 'could not serialize access due to concurrent update'),
  mysql('is full', MYSQL, 'not-sent', 'ER_CON_COUNT_ERROR', 1040, '08004', 'Too many connections'),
  mysql(
    'is closed to users',
    MYSQL,
    'not-sent',
    'ER_SERVER_OFFLINE_MODE',
    3032,
    'HY000',
    'The server is currently in offline mode',
  ),
  mysql(
    'ended an idle session',
    MYSQL,
    'not-sent',
    'ER_CLIENT_INTERACTION_TIMEOUT',
    4031,
    'HY000',
    'The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.',
  ),
  mysql(
    'takes no writes',
    MYSQL,
    'not-sent',
    'ER_OPTION_PREVENTS_STATEMENT',
    1290,
    'HY000',
    'The MySQL server is running with the --read-only option so it cannot execute this statement',
  ),
  mysql(
    'is open to reads alone',
    'Amazon Aurora, a reader',
    'not-sent',
    'ER_READ_ONLY_MODE',
    1836,
    'HY000',
    'Running in read-only mode',
  ),
  mysql(
    'is full, by user',
    MARIADB,
    'not-sent',
    'ER_TOO_MANY_USER_CONNECTIONS',
    1203,
    '42000',
    "User app already has more than 'max_user_connections' active connections",
  ),
  mysql('killed a session', MARIADB, 'in-doubt', 'ER_CONNECTION_KILLED', 1927, '70100', 'Connection was killed'),
  mysql(
    'node is joining or alone',
    NODES,
    'not-sent',
    'ER_UNKNOWN_COM_ERROR',
    1047,
    '08S01',
    'WSREP has not yet prepared node for application use',
  ),
  mysql(
    'does not know a command',
    'MySQL, share/messages_to_clients.txt',
    'final',
    'ER_UNKNOWN_COM_ERROR',
    1047,
    '08S01',
    'Unknown command',
  ),
  mysql(
    'nodes found a deadlock',
    NODES,
    'rolled-back',
    'ER_ERROR_DURING_COMMIT',
    1180,
    'HY000',
    'Got error 149 "Lock deadlock; Retry transaction" during COMMIT',
  ),
  mysql(
    'node left during a commit',
    NODES,
    'in-doubt',
    'ER_ERROR_DURING_COMMIT',
    1180,
    'HY000',
    'Got error 6 "No such device or address" during COMMIT',
  ),
  mysql(
    'members refused a commit',
    GROUP,
    'rolled-back',
    'ER_TRANSACTION_ROLLBACK_DURING_COMMIT',
    3101,
    '40000',
    'Plugin instructed the server to rollback the current transaction.',
  ),
  mysql(
    'member left before a transaction',
    GROUP,
    'not-sent',
    'ER_RUN_HOOK_ERROR',
    3100,
    'HY000',
    "Error on observer while running replication hook 'before_begin'.",
  ),
  mysql(
    'member left during a commit',
    GROUP,
    'in-doubt',
    'ER_RUN_HOOK_ERROR',
    3100,
    'HY000',
    "Error on observer while running replication hook 'before_commit'.",
  ),
  mysql(
    'cannot be reached by ProxySQL',
    'ProxySQL 2.5, lib/MySQL_Session.cpp',
    'not-sent',
    'UNKNOWN',
    9001,
    'HY000',
    'Max connect timeout reached while reaching hostgroup 0 after 10000ms',
  ),
  mysql(
    'cannot be reached by MySQL Router',
    'MySQL Router 8.4',
    'not-sent',
    'UNKNOWN',
    2003,
    'HY000',
    "Can't connect to remote MySQL server for client connected to '0.0.0.0:6446'",
  ),
];

function pooled(what: string, source: string, failure: Failure, message: string): Captured {
  return { what: `a pooler ${what}`, source, failure, message, facts: pgBouncer };
}

function postgres(what: string, failure: Failure, code: string, message: string): Captured {
  const source = 'the error codes of PostgreSQL (appendix A), in the form pg 8.20 gives errors';
  return { what: `a server ${what}`, source, failure, message, facts: { code, severity: 'FATAL' } };
}

function mysql(
  what: string,
  source: string,
  failure: Failure,
  code: string,
  errno: number,
  sqlState: string,
  sqlMessage: string,
): Captured {
  const facts = { code, errno, sqlState, sqlMessage };
  return { what: `a server ${what}`, source, failure, message: `commit - ${sqlMessage}`, facts };
}
