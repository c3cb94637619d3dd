import { DurableDatabaseError } from '../../lib/errors';
import type { Failure as Cause } from '../../lib/failure-codes';
import { classify } from '../../lib/failures';

/** An error in the facts the verdict needs; no payloads. */
export interface Failure {
  readonly name: string;
  /** At most 300 characters, of both ends. */
  readonly message: string;
  readonly code?: string;
  readonly operation?: string;
  readonly attempts?: number;
  readonly transient?: boolean;
  readonly outcomeUnknown?: boolean;
  /** What the database did, by the error's chain of causes. */
  readonly cause: Cause;
  /** The error came out of the work or the commit of a `ctx.transaction`. */
  readonly inTransaction: boolean;
  /** Where it came from, innermost first. */
  readonly stack: readonly string[];
}

/** What a failure says about the store. */
export type Blame =
  /** A lost connection or a deadlock in a call that must not be repeated; docs/guarantees.md names these. */
  | 'documented'
  /** Another run's failure, passed on by the engine. */
  | 'consequence'
  /** A driver's own promise that nobody was given: `@mikro-orm/mariadb` loses some without any store, too. */
  | 'driver'
  /** The store gave up on something that repeating would have solved. */
  | 'gave-up'
  /** The store, or the host around it, did not know the error for what it is. */
  | 'not-understood';

/** Calls whose repetition after a lost connection is not safe. */
const ONCE = new Set([
  'takeSignalWaiter',
  'takeBufferedSignal',
  'removeBufferedEvent',
  'bufferSignal',
  'bufferEvent',
  'transaction',
]);

/** What knex says of a transaction whose connection was lost between two of its statements. */
const OVER = /Transaction query already complete/;

/** What the store says of a transaction whose commit was not answered, once it has looked: the work is not repeated. */
const NOT_COMMITTED = /the work was not committed$/;

const fromTransactions = new WeakSet<object>();

/** Remember that an error came out of a transaction, where the driver's errors come as they are. */
export function markTransactional(error: unknown): void {
  if (typeof error === 'object' && error !== null) fromTransactions.add(error);
}

export function describe(error: unknown): Failure {
  const { name, message, code }: Error & { code?: unknown } = error instanceof Error ? error : new Error(String(error));
  const facts =
    error instanceof DurableDatabaseError
      ? {
          operation: error.operation,
          attempts: error.attempts,
          transient: error.transient,
          outcomeUnknown: error.outcomeUnknown,
        }
      : {};
  return {
    name,
    // The engine's own words are at the beginning, the driver's at the end of what MikroORM makes of them.
    message: message.length > 300 ? `${message.slice(0, 60)}…${message.slice(-240)}` : message,
    ...(code === undefined ? {} : { code: String(code) }),
    ...facts,
    cause: classify(error),
    inTransaction: typeof error === 'object' && error !== null && fromTransactions.has(error),
    stack: error instanceof Error ? framesOf(error) : [],
  };
}

/** The functions of the stack's first lines, without the places. */
function framesOf({ stack = '' }: Error): string[] {
  return [...stack.matchAll(/^ {4}at (?:async )?([\w.<>$ ]+) \(/gm)].map(([, name]) => name ?? '').slice(0, 12);
}

/** Whether a failure is one the store's documentation announces. */
export function blame(failure: Failure): Blame {
  if (/^child workflow .* failed to start|^child ".*child workflow .* failed to start/.test(failure.message))
    return 'gave-up';
  if (/^child "|^ctx\.all: /.test(failure.message)) return 'consequence';
  if (failure.operation !== undefined) {
    if (!failure.transient) return 'not-understood';
    // A save in it fails as a statement of the work's own does, and the step with it: nothing in a transaction is made again.
    if (failure.operation === 'transaction.saveCheckpoint' && failure.cause !== 'final') return 'documented';
    if (failure.operation === 'transaction' && NOT_COMMITTED.test(failure.message)) return 'documented';
    return failure.outcomeUnknown && wasOnce(failure) ? 'documented' : 'gave-up';
  }
  if (failure.inTransaction && (failure.cause !== 'final' || OVER.test(failure.message))) return 'documented';
  // What the store throws, and what it hands on from a transaction, is dealt with above.
  return failure.cause !== 'final' && /^(?:SqlError|Error)$/.test(failure.name) ? 'driver' : 'not-understood';
}

/** The store releases the leases of its own engines again and again; the controller's, which has none, is an operator's. */
function wasOnce({ operation, attempts }: Failure): boolean {
  return ONCE.has(String(operation)) || (operation === 'releaseRunLock' && attempts === 1);
}

/** One line that is the same for failures of the same kind. */
export function kindOf(failure: Failure): string {
  const { operation, outcomeUnknown, attempts, inTransaction, message, cause } = failure;
  if (operation !== undefined) {
    return `${operation}: ${outcomeUnknown ? 'outcome unknown' : cause} after ${attempts} attempt(s)`;
  }
  const words = message.replace(/[\w.-]*(?:-\d+)+[\w.:-]*/g, '…').replace(/\d+/g, 'N');
  return `${inTransaction ? `inside ctx.transaction (${cause})` : failure.name}: ${words.slice(-160)}`;
}
