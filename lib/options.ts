import { checkOptions, isObject, type OptionRule, type OptionRules } from '../schemas/check-options';
import type { RetryOptions } from './attempts';
import type { GroupCommitOptions } from './sharing';
import type { PayloadCodec } from './types';

/** Settings of a `MikroOrmStateStore`; all have defaults. An option of another name, or of another kind, is a `TypeError`. */
export interface MikroOrmStateStoreOptions {
  /** How long transient failures (deadlock, serialization failure, busy, no connection) are tried again; 3 minutes. */
  retry?: RetryOptions;
  /**
   * Whether pruning also drops the buffered completions (`child:<runId>`) of the pruned runs, which nobody else ever
   * removes. Default `true`.
   */
  pruneCompletions?: boolean;
  /**
   * How concurrent calls share a statement: `saveCheckpoint`, `createRun`, `bufferSignal`, `releaseRunLock`,
   * `putSignalWaiter`, `takeSignalWaiter`, `takeBufferedSignal`, `getRun`, `getCheckpoint` and `listCheckpoints` gather
   * while one of their kind is under way, equal scans share an answer, and `updateRun`, `tryLockRun` and `renewRunLock` an
   * update that leaves out the runs others have locked (MariaDB: from 10.6 on). `false`: never.
   */
  groupCommit?: GroupCommitOptions | false;
  /**
   * The longest `releaseRunLock` waits for the last writes of the turn that ends, and a read of the run for the release, in
   * milliseconds. Default 5,000; `Infinity`: as long as they take.
   */
  releaseWaitMs?: number;
  /**
   * Encodes payloads before they are stored, and decodes them: inputs and outputs of runs and checkpoints, and what signals and
   * events carry. To encrypt, use this and not the engine's `CodecStateStore` around the store. Default: none.
   */
  codec?: PayloadCodec;
}

/** The options of a store with their defaults filled in. */
export interface Settings {
  readonly retry: RetryOptions;
  readonly pruneCompletions: boolean;
  readonly groupCommit: GroupCommitOptions | false;
  readonly releaseWaitMs: number;
  readonly codec: PayloadCodec | undefined;
}

const OWNER = 'MikroOrmStateStore';

const duration: OptionRule = {
  takes: 'milliseconds from 0 (Infinity: no bound)',
  accepts: (value) => typeof value === 'number' && value >= 0,
};

const count: OptionRule = {
  takes: 'a whole number from 1',
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
};

const boolean: OptionRule = { takes: 'true or false', accepts: (value) => typeof value === 'boolean' };

function isCodec(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { encode, decode } = value as Partial<PayloadCodec>;
  return typeof encode === 'function' && typeof decode === 'function';
}

const RETRY: OptionRules = { attempts: count, forMs: duration };
const GROUP_COMMIT: OptionRules = { lanes: count, maxRows: count, maxCharacters: count };

const OPTIONS: OptionRules = {
  retry: { takes: 'an object of attempts and forMs', accepts: isObject, parts: RETRY },
  pruneCompletions: boolean,
  groupCommit: {
    takes: 'false, or an object of lanes, maxRows and maxCharacters',
    accepts: (value) => value === false || isObject(value),
    parts: GROUP_COMMIT,
  },
  releaseWaitMs: duration,
  codec: { takes: 'an object with the functions encode and decode', accepts: isCodec, isSecret: true },
};

/**
 * Check a store's options and fill in their defaults. Later changes of the caller's object change nothing.
 *
 * @throws TypeError that names the option, what it takes and what it got
 */
export function settingsOf(options: MikroOrmStateStoreOptions | undefined): Settings {
  checkOptions(OWNER, options, OPTIONS);
  const { retry, pruneCompletions = true, groupCommit, releaseWaitMs = 5000, codec } = options ?? {};
  return {
    retry: { ...retry },
    pruneCompletions,
    groupCommit: groupCommit === false ? false : { ...groupCommit },
    releaseWaitMs,
    codec,
  };
}

/** How `ensureMikroOrmDurableSchema` goes about it. */
export interface DurableSchemaOptions {
  /** As of the store: how often, and how long, locked tables and a lost server are tried again. */
  retry?: RetryOptions;
}

/**
 * Check the options of the schema function.
 *
 * @throws TypeError that names the option, what it takes and what it got
 */
export function schemaRetry(options: DurableSchemaOptions | undefined): RetryOptions {
  checkOptions('ensureMikroOrmDurableSchema', options, { retry: OPTIONS.retry as OptionRule });
  return { ...options?.retry };
}

/**
 * Refuse a bound of `settled` that is no duration.
 *
 * @throws TypeError
 */
export function checkBound(boundMs: unknown): void {
  checkOptions(`${OWNER}.settled`, { boundMs }, { boundMs: duration });
}
