import { DriverException, type EntityManager } from '@mikro-orm/core';
import { type RetryOptions, repeated, translated } from './attempts';
import { dialectOf } from './dialect';
import type { Failure } from './failure-codes';
import { classify, isClosed } from './failures';
import { attendClient } from './knex-client';
import { redact } from './redact';
import { Undone } from './step-handle';
import type { Tables } from './tables';

const LOGGED = { label: 'transaction' };

/**
 * Run `work` once in a transaction of its own, or, where `joins` says so, in a savepoint of the one `em` is in. Only the
 * start is tried again: as long as `work` has not begun, nothing of the caller's has happened.
 *
 * @throws DurableDatabaseError, or DurableClosedError, when the transaction could not be started; what `work` or its commit
 * throws comes as it is. `lookUp` finds out what became of work whose commit was not answered, and `undone` why it was undone.
 */
export async function inTransaction<T>(
  em: EntityManager,
  tables: Tables,
  joins: boolean,
  retry: RetryOptions,
  work: (em: EntityManager) => Promise<T>,
  lookUp: (result: T, cause: Error) => Promise<T>,
  undone: (result: unknown, error: unknown) => Promise<T>,
): Promise<T> {
  const dialect = dialectOf(em.getPlatform());
  let begun = false;
  let done: { readonly result: T } | undefined;
  const once = async () => {
    await attendClient(em);
    const fork = em.fork(
      joins ? { keepTransactionContext: true } : { disableContextResolution: true, disableTransactions: false },
    );
    // In the isolation the host has chosen: the work is the host's.
    return fork.transactional(
      async (inner) => {
        if (dialect.writesFirst) await takeWriteLock(inner, tables);
        begun = true;
        const result = await work(inner);
        done = { result };
        return result;
      },
      { loggerContext: LOGGED },
    );
  };
  try {
    return await repeated(retry, once, (error, starts) => {
      if (begun) return { error };
      const failure = classify(error);
      return { again: failure !== 'final', error: notStarted(error, em, tables, starts, failure) };
    });
  } catch (error) {
    if (joins) throw error;
    if (error instanceof Undone) return undone(error.result, error.cause);
    const failure = done ? classify(error) : 'final';
    if (done && failure === 'in-doubt') return lookUp(done.result, redact(error, em.getPlatform(), '', []));
    // A commit that the database refused: a serialization failure, or a cluster's certification.
    if (done && failure === 'rolled-back') return undone(done.result, error);
    throw error;
  }
}

/** SQLite: a transaction that reads before it writes fails as busy when another writer came in between. */
async function takeWriteLock(em: EntityManager, { waiters }: Tables): Promise<void> {
  const executor = em as EntityManager & {
    execute(sql: string, params: never[], method: 'run', logged: typeof LOGGED): Promise<unknown>;
  };
  await executor.execute(lockText(waiters.name), [], 'run', LOGGED);
}

function lockText(table: string): string {
  return `delete from ${table} where 1 = 0`;
}

/** A database's refusal as an error of ours; what a hook of the host threw stays the host's. */
function notStarted(error: unknown, em: EntityManager, tables: Tables, starts: number, failure: Failure): unknown {
  if (failure === 'final' && !(error instanceof DriverException) && !isClosed(error)) return error;
  const cause = redact(error, em.getPlatform(), lockText(tables.waiters.name), []);
  // Nothing of the caller's has run, whatever became of the start.
  return translated(cause, LOGGED.label, starts, failure === 'in-doubt' ? 'not-sent' : failure);
}
