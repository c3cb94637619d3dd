import { setTimeout as delay } from 'node:timers/promises';
import { DurableClosedError, DurableDatabaseError, DurableSchemaError, DurableStoreError } from './errors';
import type { Failure } from './failure-codes';
import { classify, isClosed, missingInSchema } from './failures';

/** How often and how long a call is tried before its error is thrown. */
export interface RetryOptions {
  /** Tries in all; default: as many as `forMs` allows. */
  attempts?: number;
  /** No further try begins after this many milliseconds; default 180,000: a managed fail-over takes up to two minutes. */
  forMs?: number;
}

/**
 * Whether a call is tried again when nobody knows whether it took effect. Others may have acted in between, so that what is
 * `repeatable` asks {@link Sql.inDoubt} under which condition it is still right. `again`: an earlier call of the same may have
 * taken effect before this one begins.
 */
export type Repeat = 'repeatable' | 'once' | 'again';

/** For how long calls are tried unless the host says otherwise. */
export const RETRY_FOR_MS = 180_000;
const FIRST_DELAY_MS = 8;
const LONGEST_DELAY_MS = 1000;

/** A statement's failure on its way to {@link attempted}, which decides what becomes of it. */
export class StatementError extends DurableStoreError {
  declare readonly cause: Error;

  constructor(
    cause: Error,
    /** Whether the statement's transaction ended before its commit was asked for. */
    readonly rolledBack = false,
  ) {
    super('DURABLE_DATABASE_ERROR', cause.message, { cause });
  }
}

/**
 * Do `work`, and again when the database undid it.
 *
 * @throws DurableDatabaseError, DurableSchemaError where a table or column is missing, DurableClosedError where the host has
 * closed the ORM; other errors of ours as they are
 */
export function attempted<T>(
  label: string,
  retry: RetryOptions,
  repeat: Repeat,
  work: (inDoubt: boolean) => Promise<T>,
): Promise<T> {
  let inDoubt = repeat === 'again';
  return repeated(
    retry,
    () => work(inDoubt),
    (error, attempt) => {
      if (error instanceof DurableStoreError && !(error instanceof StatementError)) return { error };
      const cause = error instanceof StatementError ? error.cause : (error as Error);
      const failure = error instanceof StatementError && error.rolledBack ? rolledBack(cause) : classify(cause);
      const again = failure !== 'final' && (failure !== 'in-doubt' || repeat !== 'once');
      if (failure === 'in-doubt') inDoubt = true;
      return { again, error: translated(cause, label, attempt, failure) };
    },
  );
}

/** What becomes of a failed try: another, as far as the bounds allow, or this error. */
export interface Verdict {
  readonly again?: boolean;
  readonly error: unknown;
}

/** Do `work` until it succeeds, is not to be done again, or the bounds of the options are reached. */
export async function repeated<T>(
  { attempts = Number.POSITIVE_INFINITY, forMs = RETRY_FOR_MS }: RetryOptions,
  work: () => Promise<T>,
  judge: (error: unknown, attempt: number) => Verdict,
): Promise<T> {
  const until = performance.now() + forMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (thrown) {
      const { again, error } = judge(thrown, attempt);
      if (!again || attempt >= attempts || performance.now() >= until) throw error;
      await delay(backoffMs(attempt));
    }
  }
}

/** What a failure means whose transaction was not committed. */
function rolledBack(cause: Error): Failure {
  const failure = classify(cause);
  return failure === 'in-doubt' ? 'rolled-back' : failure;
}

/** Full jitter: competitors that failed together must not meet again. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(FIRST_DELAY_MS * 2 ** attempt, LONGEST_DELAY_MS);
}

/** The error of ours that says what the database refused or lost. */
export function translated(cause: Error, label: string, attempts: number, failure: Failure): DurableStoreError {
  if (isClosed(cause)) return new DurableClosedError(label, cause);
  const missing = missingInSchema(cause);
  if (missing) return schemaMissing(label, missing.what, missing.link, cause);
  return new DurableDatabaseError(label, attempts, failure !== 'final', failure === 'in-doubt', cause);
}

function schemaMissing(label: string, what: 'table' | 'column', link: Error, cause: Error): DurableSchemaError {
  return new DurableSchemaError(
    'DURABLE_SCHEMA_MISSING',
    `${label}: a durable ${what} is missing; call store.ensureSchema() on boot, or ` +
      'ensureMikroOrmDurableSchema(this.getEntityManager()) in a migration',
    [link.message],
    cause,
  );
}
