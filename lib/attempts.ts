import { setTimeout as delay } from 'node:timers/promises';
import { TableNotFoundException } from '@mikro-orm/core';
import { DurableDatabaseError, DurableSchemaError, DurableStoreError } from './errors';
import { causes, classify, type Failure } from './failures';

/** How often and how long a call is tried before its error is thrown. */
export interface RetryOptions {
  /** Tries in all; default: as many as `forMs` allows. */
  attempts?: number;
  /** No further try begins after this many milliseconds; default 30,000. */
  forMs?: number;
}

/** What repeating a call after a lost connection would do. */
export type Repeat = 'repeatable' | 'once';

const FIRST_DELAY_MS = 8;
const LONGEST_DELAY_MS = 1000;

/** A statement's failure on its way to {@link attempted}, which decides what becomes of it. */
export class StatementError extends DurableStoreError {
  declare readonly cause: Error;

  constructor(cause: Error) {
    super('DURABLE_DATABASE_ERROR', cause.message, { cause });
  }
}

/**
 * Do `work`, and again when the database undid it.
 *
 * @throws DurableDatabaseError, or DurableSchemaError where a table is missing; other errors of ours as they are
 */
export async function attempted<T>(
  label: string,
  { attempts = Number.POSITIVE_INFINITY, forMs = 30_000 }: RetryOptions,
  repeat: Repeat,
  work: () => Promise<T>,
): Promise<T> {
  const until = performance.now() + forMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof DurableStoreError && !(error instanceof StatementError)) throw error;
      const cause = error instanceof StatementError ? error.cause : (error as Error);
      const failure = classify(cause);
      const again = mayRepeat(failure, repeat) && attempt < attempts && performance.now() < until;
      if (!again) throw translated(cause, label, attempt, failure);
      await delay(backoffMs(attempt));
    }
  }
}

function mayRepeat(failure: Failure, repeat: Repeat): boolean {
  return (
    failure === 'rolled-back' || failure === 'not-sent' || (failure === 'connection-lost' && repeat === 'repeatable')
  );
}

/** Full jitter: competitors that failed together must not meet again. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(FIRST_DELAY_MS * 2 ** attempt, LONGEST_DELAY_MS);
}

function translated(cause: Error, label: string, attempts: number, failure: Failure): DurableStoreError {
  if (causes(cause).some((link) => link instanceof TableNotFoundException)) {
    return new DurableSchemaError(
      'DURABLE_SCHEMA_MISSING',
      `${label}: a durable table is missing; call store.ensureSchema() on boot, or ` +
        'ensureMikroOrmDurableSchema(this.getEntityManager()) in a migration',
      [],
      cause,
    );
  }
  return new DurableDatabaseError(label, attempts, failure !== 'final', failure === 'connection-lost', cause);
}
