import { setTimeout as delay } from 'node:timers/promises';
import { DriverException, type EntityManager } from '@mikro-orm/core';
import type { RetryOptions } from './attempts';
import { dialectOf } from './dialect';
import { DurableDatabaseError } from './errors';
import { classify } from './failures';
import { redact } from './redact';
import type { Tables } from './tables';

const LOGGED = { label: 'transaction' };

/**
 * Run `work` once in a transaction of its own, or, where `joins` says so, in a savepoint of the one `em` is in. Only the
 * start is tried again: as long as `work` has not begun, nothing of the caller's has happened.
 *
 * @throws DurableDatabaseError when the transaction could not be started; what `work` or its commit throws comes as it is
 */
export async function inTransaction<T>(
  em: EntityManager,
  tables: Tables,
  joins: boolean,
  { attempts = Number.POSITIVE_INFINITY, forMs = 30_000 }: RetryOptions,
  work: (em: EntityManager) => Promise<T>,
): Promise<T> {
  const dialect = dialectOf(em.getPlatform());
  const until = performance.now() + forMs;
  for (let start = 1; ; start += 1) {
    let begun = false;
    try {
      const fork = em.fork(
        joins ? { keepTransactionContext: true } : { disableContextResolution: true, disableTransactions: false },
      );
      // In the isolation the host has chosen: the work is the host's.
      return await fork.transactional(
        async (inner) => {
          if (dialect.writesFirst) await takeWriteLock(inner, tables);
          begun = true;
          return work(inner);
        },
        { loggerContext: LOGGED },
      );
    } catch (error) {
      if (begun) throw error;
      const failure = classify(error);
      if (failure === 'final' || start >= attempts || performance.now() > until) {
        throw notStarted(error, em, tables, start, failure !== 'final');
      }
      await delay(Math.random() * 20 * start);
    }
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
function notStarted(error: unknown, em: EntityManager, tables: Tables, starts: number, transient: boolean): unknown {
  if (!transient && !(error instanceof DriverException)) return error;
  const cause = redact(error, em.getPlatform(), lockText(tables.waiters.name), []);
  return new DurableDatabaseError('transaction', starts, transient, false, cause);
}
