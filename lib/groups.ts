import type { Repeat } from './attempts';
import type { BufferedSignals, Taken } from './buffered-signals';
import { type Position, positionKey } from './checkpoints';
import { DurableDatabaseError } from './errors';
import type { Claim, Release, Renewal } from './leases';
import type { RunChange } from './runs';
import type { Param, Sql } from './session';
import type { Sharing, Work } from './sharing';
import type { Statements } from './statements';

/** A row of a group and the key it is ordered by. */
interface KeyedRow {
  readonly key: string;
  readonly row: Param[];
}

/** The calls of the engine's hot path that gather while one of their kind is under way. */
export type Groups = ReturnType<typeof groupsOf>;

export function groupsOf(sharing: Sharing, statements: Statements) {
  return {
    ...inserts(sharing, statements),
    ...takes(sharing, statements),
    ...reads(sharing, statements),
    ...changes(sharing, statements),
  };
}

/** A checkpoint's row under the key no other row of its statement has. */
export function checkpointRow({ runId, seq }: Position, row: Param[]): KeyedRow {
  return { key: positionKey(runId, seq), row };
}

/** Many rows in one statement. */
function inserts(sharing: Sharing, { runs, checkpoints, waiters, buffered }: Statements) {
  const keyed = (label: string, write: (sql: Sql, rows: Param[][]) => Promise<void>) =>
    sharing.grouped<KeyedRow, undefined>({
      run: (items) => none(sharing.call(label, 'repeatable', (sql) => write(sql, inKeyOrder(items)))),
      key: ({ key }) => key,
      size: ({ row }) => characters(row),
    });
  return {
    saveCheckpoint: keyed('saveCheckpoint', (sql, rows) => checkpoints.save(sql, rows)),
    createRun: keyed('createRun', (sql, rows) => runs.create(sql, rows)),
    putSignalWaiter: keyed('putSignalWaiter', (sql, rows) => waiters.put(sql, rows)),
    bufferSignal: sharing.grouped<readonly Param[], undefined>({
      run: (rows) => none(sharing.call('bufferSignal', 'once', (sql) => buffered.append(sql, rows))),
      size: characters,
    }),
  };
}

/** Many keys in one statement, each row to one caller. */
function takes(sharing: Sharing, { waiters, buffered }: Statements) {
  return {
    takeSignalWaiter: sharing.grouped({
      run: (tokens: readonly string[]) => sharing.call('takeSignalWaiter', 'once', (sql) => waiters.take(sql, tokens)),
      key: (token) => token,
      size: (token) => token.length,
    }),
    /** `'present'`: something is buffered that the caller takes by itself; what was chosen for it went to somebody else. */
    takeBufferedSignal: sharing.grouped({
      run: (tokens: readonly string[]) => takeBuffered(sharing, buffered, tokens),
      size: (token) => token.length,
    }),
  };
}

/** Many keys in one statement, each caller with objects of its own. */
function reads(sharing: Sharing, { runs, checkpoints }: Statements) {
  return {
    getRun: sharing.grouped({
      run: (ids: readonly string[]) => sharing.call('getRun', 'repeatable', (sql) => runs.get(sql, ids)),
      size: (id) => id.length,
    }),
    getCheckpoint: sharing.grouped({
      run: (positions: readonly Position[]) =>
        sharing.call('getCheckpoint', 'repeatable', (sql) => checkpoints.get(sql, positions)),
      size: ({ runId }) => runId.length,
    }),
    listCheckpoints: sharing.grouped({
      run: (ids: readonly string[]) =>
        sharing.call('listCheckpoints', 'repeatable', (sql) => checkpoints.list(sql, ids)),
      size: (id) => id.length,
    }),
  };
}

/**
 * Updates of one run each. They wait for row locks that others may hold on one run, and a group would wait for all its runs: a
 * renewal that comes late costs a lease, and a lease a second execution. Where one writer has the whole database they share a
 * transaction in any case; elsewhere they share what nobody has locked. A release is late for nobody but its own run's next
 * owner, so that releases share a statement.
 */
function changes(sharing: Sharing, { runs, leases }: Statements) {
  return {
    releaseRunLock: sharing.grouped<Release, undefined>({
      // Between the two tries of one that frees anybody's lease somebody may have won it.
      run: (items) => {
        const repeat = isAnybodys(items[0] as Release) ? 'once' : 'repeatable';
        return none(sharing.call('releaseRunLock', repeat, (sql) => leases.release(sql, items)));
      },
      key: ({ runId }) => runId,
      kind: (release) => String(isAnybodys(release)),
      size: ({ runId }) => runId.length,
    }),
    /** False when there is no such run. Changes of one run follow each other in the order they were submitted. */
    updateRun: changing<RunChange>(sharing, 'updateRun', {
      one: (sql, change) => runs.update(sql, change),
      needsTransaction: ({ attributes }) => attributes !== undefined,
      unlocked: (sql, patches) => runs.updateUnlocked(sql, patches),
      mayRepeat: ({ at }) => at !== undefined,
      kind: ({ columns, attributes, guard }) =>
        attributes || columns.length === 0 ? undefined : `${guard} ${columns.join()}`,
      size: ({ params }) => characters(params),
    }),
    tryLockRun: changing<Claim>(sharing, 'tryLockRun', {
      one: (sql, claim) => leases.acquire(sql, claim),
      unlocked: (sql, claims) => leases.acquireUnlocked(sql, claims),
      kind: ({ as }) => (as === undefined || as === 'active' ? 'any' : undefined),
      size: ({ runId, owner }) => runId.length + owner.length,
    }),
    renewRunLock: changing<Renewal>(sharing, 'renewRunLock', {
      one: (sql, renewal) => leases.renew(sql, renewal),
      unlocked: (sql, renewals) => leases.renewUnlocked(sql, renewals),
      size: ({ runId, owner }) => runId.length + owner.length,
    }),
  };
}

interface Changing<Change> {
  one: Work<Change, boolean>;
  /** Whether `one` takes statements that must take effect together; absent: never. */
  needsTransaction?(change: Change): boolean;
  /** Make those changes of one kind that nobody's lock is in the way of; the runs they were made to. */
  unlocked(sql: Sql, changes: readonly Change[]): Promise<ReadonlySet<string>>;
  /** Whether it can be told, when its answer is lost, under which condition it is still to be made. Absent: always. */
  mayRepeat?(change: Change): boolean;
  /** What a change must have in common with others; `undefined`: it goes alone. Absent: all are of one kind. */
  kind?(change: Change): string | undefined;
  size(change: Change): number;
}

/** Fewer changes than this are not worth the longer statements. */
const WORTH_SHARING = 4;

function changing<Change extends { readonly runId: string }>(
  sharing: Sharing,
  label: string,
  { one, needsTransaction, unlocked, mayRepeat = () => true, kind = () => 'any', size }: Changing<Change>,
) {
  const alone = async (change: Change, repeat: Repeat) => {
    if (!needsTransaction?.(change)) return sharing.call(label, repeat, (sql) => one(sql, change));
    const [result] = await sharing.inTurn(label, repeat, [change], one);
    return result as boolean;
  };
  return sharing.grouped<Change, boolean>({
    run: async (items) => {
      if (sharing.oneWriter && items.length > 1) return sharing.inTurn(label, 'repeatable', items, one);
      const together = items.length >= WORTH_SHARING && kind(items[0] as Change) !== undefined;
      const done = together ? await sharing.unlocked(label, (sql) => unlocked(sql, items)).catch(inDoubt) : undefined;
      if (done instanceof DurableDatabaseError) {
        return items.map((item) => (mayRepeat(item) ? alone(item, 'again') : Promise.reject(done)));
      }
      // Refused, or somebody has its run locked: a statement that waits for that and for nothing else tells.
      return items.map((item) => done?.has(item.runId) || alone(item, mayRepeat(item) ? 'repeatable' : 'once'));
    },
    key: ({ runId }) => runId,
    // One writer makes changes of all kinds in turn.
    kind: (change) => (sharing.oneWriter ? '' : (kind(change) ?? '')),
    size,
  });
}

function isAnybodys({ owners }: Release): boolean {
  return owners === undefined;
}

/** The failure after which nobody knows whether a shared statement took effect; any other is thrown on. */
function inDoubt(error: unknown): DurableDatabaseError {
  if (error instanceof DurableDatabaseError && error.outcomeUnknown) return error;
  throw error;
}

/** Alone: one statement. Together: look for all, then remove what was found; one statement too when nothing is there. */
async function takeBuffered(
  sharing: Sharing,
  buffered: BufferedSignals,
  tokens: readonly string[],
): Promise<(Taken | null | 'present')[]> {
  const label = 'takeBufferedSignal';
  const [first, second] = tokens as readonly [string, string?];
  if (second === undefined) return [await sharing.call(label, 'once', (sql) => buffered.takeAlone(sql, first))];
  const ids = await sharing.call(label, 'repeatable', (sql) => buffered.oldestOf(sql, tokens));
  const removal = <T>(work: (sql: Sql) => Promise<T>) =>
    sharing.removal(label, (dialect) => buffered.looksFirst(dialect), work);
  const found = [...new Set(ids.filter((id) => id !== undefined))].sort((a, b) => a - b);
  const removed = found.length === 0 ? [] : await removal((sql) => buffered.remove(sql, found));
  const taken = new Map(found.map((id, n) => [id, removed[n]]));
  return ids.map((id) => {
    if (id === undefined) return null;
    const mine = taken.get(id);
    // Of several callers for one token the first receives it.
    taken.delete(id);
    return mine ?? 'present';
  });
}

/** Rows in key order: writers that take row locks in one order do not deadlock. */
function inKeyOrder(items: readonly KeyedRow[]): Param[][] {
  if (items.length === 1) return items.map(({ row }) => row);
  return [...items].sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ row }) => row);
}

function characters(row: readonly Param[]): number {
  return row.reduce<number>((total, param) => total + (typeof param === 'string' ? param.length : 8), 0);
}

/** Calls without a result resolve to nothing. */
async function none(work: Promise<void>): Promise<undefined[]> {
  await work;
  return [];
}
