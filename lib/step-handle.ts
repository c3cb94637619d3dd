import { isDeepStrictEqual } from 'node:util';
import { type Checkpoints, positionKey } from './checkpoints';
import { DurableDatabaseError, DurableTransactionError } from './errors';
import { payloadText } from './limits';
import type { Param, Session, Sql } from './session';
import type { StepCheckpoint } from './types';

/**
 * What work in a transaction saves its checkpoints through. A step has one completion: the engine may run two turns of a run
 * at once (it takes no second lease for a run it already holds, and a stalled process may wake up beside the one that took
 * over), and then the first to save completes the step and the other's work must not count.
 */
export class StepHandle {
  /** The checkpoints this work has saved, by position. */
  private readonly own = new Map<string, StepCheckpoint>();
  private superseded: { readonly own: StepCheckpoint; readonly stored: StepCheckpoint } | undefined;
  /** The save for which the database undid the work. */
  private undone: { readonly own: StepCheckpoint; readonly error: DurableDatabaseError } | undefined;

  constructor(
    private readonly session: Session,
    private readonly checkpoints: Checkpoints,
    private readonly isConfined: boolean,
    /** Whether the transaction is the caller's, who alone may end it. */
    private readonly joins: boolean,
  ) {}

  /**
   * Save a checkpoint in place of any but one that completed this very step; that one stays. Where a snapshot is older than that
   * one, the database undoes the work instead, and {@link assertFirst} says so: what the work gives tells who encodes payloads.
   */
  async save(checkpoint: StepCheckpoint): Promise<void> {
    const row = this.checkpoints.params(checkpoint);
    try {
      await this.insertOrReplace(checkpoint, row);
    } catch (error) {
      if (this.joins || !wasUndone(error)) throw error;
      this.undone = { own: checkpoint, error };
      await this.session.call('transaction.undo', 'once', undoAll).catch(() => undefined);
    }
  }

  private async insertOrReplace(checkpoint: StepCheckpoint, row: Param[]): Promise<void> {
    const { runId, seq } = checkpoint;
    const key = positionKey(runId, seq);
    await this.session.call('transaction.saveCheckpoint', 'once', async (sql) => {
      if (!this.own.has(key)) {
        if (await this.checkpoints.saveIfAbsent(sql, runId, row)) return void this.own.set(key, checkpoint);
        const stored = await this.checkpoints.getCommitted(sql, checkpoint);
        if (stored && isSameStepDone(stored, checkpoint)) {
          this.superseded = { own: checkpoint, stored };
          return;
        }
      }
      await (this.isConfined ? this.checkpoints.saveConfined(sql, runId, row) : this.checkpoints.save(sql, [row]));
      this.own.set(key, checkpoint);
    });
  }

  /**
   * @throws Superseded when another execution had completed a step that this work saved
   * @throws Undone when the database undid the work for a save
   * @throws DurableTransactionError `DURABLE_STEP_SUPERSEDED` when it had, and only a wrapper around the store can tell with what
   */
  assertFirst(result: unknown): void {
    if (this.undone) throw new Undone(result, this.undone.error);
    if (!this.superseded) return;
    const { own, stored } = this.superseded;
    if (Object.is(result, own.output)) throw new Superseded(stored.output);
    // The work saved another output than it gave: a wrapper encodes payloads, and what is stored is what it made of them.
    if (isDeepStrictEqual(asStored(own.output), stored.output)) throw new Superseded(result);
    throw new DurableTransactionError(
      'DURABLE_STEP_SUPERSEDED',
      `another execution has completed step ${own.seq} of run ${own.runId}, and its output was encoded outside of this store, which ` +
        'cannot give it; to encode payloads use the option codec of MikroOrmStateStore in place of a wrapper around it',
    );
  }

  /**
   * Find out, once the work is rolled back, whether the database undid it because another execution has completed the step.
   *
   * @throws Superseded when it has
   */
  async assertNotDone(session: Session, result: unknown): Promise<void> {
    const checkpoints = this.undone ? [this.undone.own] : [...this.own.values()];
    this.undone = undefined;
    if (checkpoints.length === 0) return;
    // Without a lock: an execution that has not committed is not waited for.
    const read = await session.call('transaction.lookUp', 'repeatable', (sql) =>
      this.checkpoints.get(sql, checkpoints),
    );
    for (const [n, own] of checkpoints.entries()) {
      const stored = read[n]?.();
      if (stored && isSameStepDone(stored, own)) this.superseded = { own, stored };
    }
    this.assertFirst(result);
  }

  /**
   * Find out whether the work was committed whose commit was not answered: its checkpoints are there or they are not, and a
   * write at the same position waits for a transaction that is still open. It has the place of the work it looks up.
   *
   * @throws Superseded when another execution has completed the step instead
   * @throws DurableDatabaseError when the work was not committed, or, `outcomeUnknown`, when it saved nothing to tell by
   */
  async assertCommitted(session: Session, result: unknown, cause: Error): Promise<void> {
    const [checkpoint] = this.own.values();
    if (!checkpoint) throw new DurableDatabaseError('transaction', 1, true, true, cause);
    const stored = await session.briefTransaction('transaction.lookUp', 'repeatable', async (sql) => {
      const row = this.checkpoints.params(checkpoint);
      if (await this.checkpoints.saveIfAbsent(sql, checkpoint.runId, row)) throw new NotCommitted(cause);
      return this.checkpoints.getCommitted(sql, checkpoint);
    });
    if (stored && isSameSave(stored, checkpoint)) return;
    this.superseded = stored && isSameStepDone(stored, checkpoint) ? { own: checkpoint, stored } : undefined;
    this.assertFirst(result);
    throw new NotCommitted(cause);
  }
}

/** The database lost the connection at the commit of work, and did not commit it. */
class NotCommitted extends DurableDatabaseError {
  constructor(cause: Error) {
    super('transaction', 1, true, false, new Error(`${cause.message}; the work was not committed`, { cause }));
  }
}

/** Rolls a transaction back that the database has undone. */
export class Undone extends Error {
  constructor(
    /** What the work gave. */
    readonly result: unknown,
    override readonly cause: Error,
  ) {
    super(cause.message, { cause });
  }
}

/** Rolls a transaction back whose step another execution has completed. */
export class Superseded extends Error {
  /** What the step gave. */
  constructor(readonly value: unknown) {
    super('another execution has completed this step');
  }
}

/** A payload as it comes back from the database. */
function asStored(payload: unknown): unknown {
  const text = payloadText(payload, 'checkpoint.output');
  return text === null ? undefined : JSON.parse(text);
}

/** Whether a stored checkpoint is the very one that was saved. */
function isSameSave(stored: StepCheckpoint, saved: StepCheckpoint): boolean {
  const same = (['startedAt', 'finishedAt', 'enqueuedAt'] as const).every(
    (at) => stored[at].getTime() === saved[at].getTime(),
  );
  return (
    same &&
    stored.status === saved.status &&
    stored.name === saved.name &&
    stored.attempts === saved.attempts &&
    isDeepStrictEqual(asStored(saved.output), stored.output)
  );
}

function isSameStepDone(stored: StepCheckpoint, checkpoint: StepCheckpoint): boolean {
  return stored.status === 'completed' && checkpoint.status === 'completed' && stored.name === checkpoint.name;
}

/**
 * MySQL goes on without a transaction after some failures, and with a part of it after others. What the work still writes must
 * not stay either: it is in a transaction that is rolled back.
 */
async function undoAll(sql: Sql): Promise<void> {
  if (sql.dialect.database !== 'mysql') return;
  await sql.run('rollback', []);
  await sql.run('start transaction', []);
}

function wasUndone(error: unknown): error is DurableDatabaseError {
  return error instanceof DurableDatabaseError && error.transient && !error.outcomeUnknown;
}
