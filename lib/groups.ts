import { type Checkpoints, type Position, positionKey } from './checkpoints';
import { DurableDatabaseError } from './errors';
import { type GroupBounds, GroupCommit, type Grouping } from './group-commit';
import type { Leases } from './leases';
import type { Runs } from './runs';
import type { Param, Repeat, Session, Sql } from './session';
import type { Signals } from './signals';
import type { SignalWaiter, StepCheckpoint, WorkflowRun } from './types';

/** How concurrent calls of one kind may share a statement. */
export interface GroupCommitOptions {
  /** Statements of one kind under way at once; default 1. */
  lanes?: number;
  /** Rows in one statement; default 128. */
  maxRows?: number;
  /** Text in one statement, in characters of its parameters; default 512 × 1024. A larger row goes alone. */
  maxCharacters?: number;
}

const DEFAULTS: GroupBounds = { lanes: 1, maxItems: 128, maxSize: 512 * 1024, patienceMs: 100 };

/** No sharing: every call is a statement of its own, at once. */
const UNGROUPED: GroupBounds = { ...DEFAULTS, lanes: Number.POSITIVE_INFINITY, maxItems: 1, maxSize: 0 };

/** @throws TypeError for a bound that is no positive whole number */
export function groupBounds(options: GroupCommitOptions | false): GroupBounds {
  if (options === false) return UNGROUPED;
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || (Number.isInteger(value) && value > 0)) continue;
    throw new TypeError(`groupCommit.${name} must be a whole number from 1, got ${String(value)}`);
  }
  return {
    ...DEFAULTS,
    lanes: options.lanes ?? DEFAULTS.lanes,
    maxItems: options.maxRows ?? DEFAULTS.maxItems,
    maxSize: options.maxCharacters ?? DEFAULTS.maxSize,
  };
}

interface Statements {
  readonly runs: Runs;
  readonly checkpoints: Checkpoints;
  readonly signals: Signals;
  readonly leases: Leases;
}

/** A row of a group and the key it is ordered by. */
interface KeyedRow {
  readonly key: string;
  readonly row: Param[];
}

type LookedFor = { payload: unknown } | null | 'present';

/**
 * The calls of the engine's hot path that gather while one of their kind is under way.
 *
 * `updateRun`, `tryLockRun` and `renewRunLock` are not among them: they wait for row locks that others may hold on one run,
 * and a group would wait for all its runs. A renewal that comes late costs a lease, and a lease a second execution.
 */
export class Groups {
  readonly saveCheckpoint: GroupCommit<KeyedRow, undefined>;
  readonly createRun: GroupCommit<KeyedRow, undefined>;
  readonly bufferSignal: GroupCommit<readonly Param[], undefined>;
  readonly releaseRunLock: GroupCommit<string, undefined>;
  readonly putSignalWaiter: GroupCommit<KeyedRow, undefined>;
  readonly takeSignalWaiter: GroupCommit<string, SignalWaiter | null>;
  /** `'present'`: the caller takes it by itself. A miss, the common case, needs no more than the shared look. */
  readonly takeBufferedSignal: GroupCommit<string, LookedFor>;
  readonly getRun: GroupCommit<string, WorkflowRun | null>;
  readonly getCheckpoint: GroupCommit<Position, StepCheckpoint | null>;

  constructor(session: Session, { runs, checkpoints, signals, leases }: Statements, bounds: GroupBounds) {
    const call = <T>(label: string, repeat: Repeat, work: (sql: Sql) => Promise<T>) =>
      session.call(label, repeat, work);
    const group = <Item, Result>(grouping: Omit<Grouping<Item, Result>, 'divisible' | 'admit'>) => {
      const admit = () => session.assertNotBlocked();
      return new GroupCommit<Item, Result>({ ...grouping, admit, divisible: isOneRowsFault }, bounds);
    };

    this.saveCheckpoint = group({
      run: (items) => none(call('saveCheckpoint', 'repeatable', (sql) => checkpoints.save(sql, inKeyOrder(items)))),
      key: ({ key }) => key,
      size: ({ row }) => characters(row),
    });
    this.createRun = group({
      run: (items) => none(call('createRun', 'repeatable', (sql) => runs.create(sql, inKeyOrder(items)))),
      key: ({ key }) => key,
      size: ({ row }) => characters(row),
    });
    this.bufferSignal = group({
      run: (rows) => none(call('bufferSignal', 'once', (sql) => signals.buffer(sql, rows))),
      size: characters,
    });
    this.releaseRunLock = group({
      run: (ids) => none(call('releaseRunLock', 'repeatable', (sql) => leases.release(sql, [...ids].sort()))),
      key: (id) => id,
      size: (id) => id.length,
    });
    this.putSignalWaiter = group({
      run: (items) => none(call('putSignalWaiter', 'repeatable', (sql) => signals.putWaiters(sql, inKeyOrder(items)))),
      key: ({ key }) => key,
      size: ({ row }) => characters(row),
    });
    this.takeSignalWaiter = group({
      run: (tokens) => call('takeSignalWaiter', 'once', (sql) => signals.takeWaiters(sql, tokens)),
      key: (token) => token,
      size: (token) => token.length,
    });
    this.takeBufferedSignal = group<string, LookedFor>({
      run: async (tokens) => {
        const [first, second] = tokens as readonly [string, string?];
        return second === undefined
          ? [await call('takeBufferedSignal', 'once', (sql) => signals.takeBuffered(sql, first))]
          : call('takeBufferedSignal', 'repeatable', (sql) => signals.lookForBuffered(sql, tokens));
      },
      size: (token) => token.length,
    });
    this.getRun = group({
      run: (ids) => call('getRun', 'repeatable', (sql) => runs.get(sql, ids)),
      size: (id) => id.length,
    });
    this.getCheckpoint = group({
      run: (positions) => call('getCheckpoint', 'repeatable', (sql) => checkpoints.get(sql, positions)),
      size: ({ runId }) => runId.length,
    });
  }
}

/** A checkpoint's row under the key no other row of its statement has. */
export function checkpointRow({ runId, seq }: Position, row: Param[]): KeyedRow {
  return { key: positionKey(runId, seq), row };
}

/** Rows in key order: writers that take row locks in one order do not deadlock. */
function inKeyOrder(items: readonly KeyedRow[]): Param[][] {
  if (items.length === 1) return items.map(({ row }) => row);
  return [...items].sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ row }) => row);
}

function characters(row: readonly Param[]): number {
  return row.reduce<number>((total, param) => total + (typeof param === 'string' ? param.length : 8), 0);
}

/** What a transient failure or a lost connection did to a group it would do to each half. */
function isOneRowsFault(error: unknown): boolean {
  return error instanceof DurableDatabaseError && !error.transient;
}

/** Calls without a result resolve to nothing. */
async function none(work: Promise<void>): Promise<undefined[]> {
  await work;
  return [];
}
