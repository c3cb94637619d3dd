import type { MikroORM, Options } from '@mikro-orm/core';
import type { Failure } from '../../lib/failure-codes';
import { onConnect } from '../hostile/hosts';
import { OpenTransaction, untilBlocked } from '../support/concurrency';
import { type DatabaseKind, sql } from '../support/databases';
import { newUser, type Place, passwordOf, suffering } from './conditions';

/** A statement that fails by itself, and how it may be told from others. */
export interface Refusal {
  readonly what: string;
  readonly failure: Failure;
  readonly isOneRowsFault: boolean;
  provoke(place: Place): Promise<unknown>;
}

const INSERT = "insert into durable_buffered_signals (token, payload) values ('t', 'null')";
const WAITER = 'insert into durable_signal_waiters (token, run_id, seq) values';

export function refusals(kind: DatabaseKind): Refusal[] {
  return [...ANYWHERE, ...(kind.family === 'mysql' ? TIME_LIMITS : [])];
}

const ANYWHERE: Refusal[] = [
  {
    what: 'a key that is taken',
    failure: 'final',
    isOneRowsFault: true,
    provoke: ({ plain }) => run(plain, `${WAITER} ('twice', 'r', 1), ('twice', 'r', 1)`),
  },
  {
    what: 'a number that does not fit',
    failure: 'final',
    isOneRowsFault: true,
    provoke: ({ plain }) => run(plain, `${WAITER} ('once', 'r', 99999999999)`),
  },
  {
    what: 'a missing right',
    failure: 'final',
    isOneRowsFault: false,
    provoke: async (place) =>
      run(await suffering(place, { user: await newUser(place, '', 'select'), password: passwordOf(place) }), INSERT),
  },
  {
    what: 'a user that does not exist',
    failure: 'final',
    isOneRowsFault: false,
    provoke: async (place) =>
      run(await suffering(place, { user: 'nobody_at_all', password: passwordOf(place) }), 'select 1'),
  },
  {
    what: 'a database that does not exist',
    failure: 'final',
    isOneRowsFault: false,
    provoke: async (place) => run(await suffering(place, { dbName: 'no_such_database' }), 'select 1'),
  },
  {
    what: 'a statement that an administrator cancels',
    failure: 'rolled-back',
    isOneRowsFault: false,
    provoke: (place) =>
      interrupted(place, (id) => (isPostgres(place) ? `select pg_cancel_backend(${id})` : `kill query ${id}`)),
  },
  {
    what: 'a session that an administrator ends',
    failure: 'in-doubt',
    isOneRowsFault: false,
    provoke: (place) =>
      interrupted(place, (id) => (isPostgres(place) ? `select pg_terminate_backend(${id})` : `kill ${id}`)),
  },
  {
    what: 'a deadlock',
    failure: 'rolled-back',
    isOneRowsFault: false,
    provoke: deadlocked,
  },
];

/** MySQL limits the time of reads alone, and MariaDB that of every statement, by another variable. */
const TIME_LIMITS: Refusal[] = [
  {
    what: 'a read that takes longer than the server allows',
    failure: 'rolled-back',
    isOneRowsFault: false,
    async provoke(place) {
      const limit = place.kind.system === 'mariadb' ? 'max_statement_time = 0.2' : 'max_execution_time = 200';
      const options = { pool: { min: 0, max: 1, ...onConnect(`set session ${limit}`) } } as Options;
      return run(await suffering(place, options), 'select id from durable_workflow_runs where sleep(2) = 0');
    },
  },
];

/** An update that waits for a lock until somebody interferes. */
async function interrupted(place: Place, how: (session: number) => string): Promise<unknown> {
  const { kind, plain, runId } = place;
  const update = 'update durable_workflow_runs set priority = 3 where id = ?';
  const holder = await OpenTransaction.holding(plain, update, [runId]);
  const orm = await suffering(place, { pool: { min: 0, max: 1 } });
  const own = isPostgres(place) ? 'pg_backend_pid()' : 'connection_id()';
  const [{ id }] = await sql(orm).execute<[{ id: number }]>(`select ${own} as id`);
  const failed = run(orm, update, [runId]);
  await untilBlocked(kind, plain);
  await sql(plain).execute(how(id), [], isPostgres(place) ? 'all' : 'run');
  const error = await failed;
  await holder.rollback();
  return error;
}

/** The error of the one of two transactions that the database undoes. */
async function deadlocked({ kind, db, plain, runId }: Place): Promise<unknown> {
  const update = 'update durable_workflow_runs set priority = 3 where id = ?';
  const [first, second] = [await OpenTransaction.begin(plain), await OpenTransaction.begin(await db.open())];
  const other = `${runId}-other`;
  await sql(plain).execute(
    `insert into durable_workflow_runs (id, workflow, workflow_version, status, created_at, updated_at) ` +
      `select ?, workflow, workflow_version, status, created_at, updated_at from durable_workflow_runs where id = ?`,
    [other, runId],
    'run',
  );
  await first.execute(update, [runId]);
  await second.execute(update, [other]);
  const crossed = [
    first.execute(update, [other]),
    untilBlocked(kind, plain).then(() => second.execute(update, [runId])),
  ];
  const outcomes = await Promise.allSettled(crossed);
  await Promise.all([first.rollback(), second.rollback()]);
  const undone = outcomes.find((outcome) => outcome.status === 'rejected');
  return undone?.reason;
}

function run(orm: MikroORM, text: string, params: unknown[] = []): Promise<unknown> {
  return sql(orm)
    .execute(text, params)
    .then(
      () => undefined,
      (error: unknown) => error,
    );
}

function isPostgres({ kind }: Place): boolean {
  return kind.family === 'postgresql';
}
