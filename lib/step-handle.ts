import { isDeepStrictEqual } from 'node:util';
import { type Checkpoints, positionKey } from './checkpoints';
import { DurableTransactionError } from './errors';
import { payloadText } from './limits';
import type { Session } from './session';
import type { StepCheckpoint } from './types';

/**
 * What work in a transaction saves its checkpoints through. A step has one completion: the engine may run two turns of a run
 * at once (it takes no second lease for a run it already holds, and a stalled process may wake up beside the one that took
 * over), and then the first to save completes the step and the other's work must not count.
 */
export class StepHandle {
  private readonly own = new Set<string>();
  private superseded: { readonly own: StepCheckpoint; readonly stored: StepCheckpoint } | undefined;

  constructor(
    private readonly session: Session,
    private readonly checkpoints: Checkpoints,
    private readonly isConfined: boolean,
  ) {}

  /** Save a checkpoint in place of any but one that completed this very step; that one stays. */
  async save(checkpoint: StepCheckpoint): Promise<void> {
    const { runId, seq } = checkpoint;
    const row = this.checkpoints.params(checkpoint);
    const key = positionKey(runId, seq);
    await this.session.call('transaction.saveCheckpoint', 'once', async (sql) => {
      if (!this.own.has(key)) {
        if (await this.checkpoints.saveIfAbsent(sql, runId, row)) return void this.own.add(key);
        const stored = await this.checkpoints.getCommitted(sql, checkpoint);
        if (stored && isSameStepDone(stored, checkpoint)) {
          this.superseded = { own: checkpoint, stored };
          return;
        }
      }
      await (this.isConfined ? this.checkpoints.saveConfined(sql, runId, row) : this.checkpoints.save(sql, [row]));
      this.own.add(key);
    });
  }

  /**
   * @throws Superseded when another execution had completed a step that this work saved
   * @throws DurableTransactionError `DURABLE_STEP_SUPERSEDED` when it had, and only a wrapper around the store can tell with what
   */
  assertFirst(result: unknown): void {
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

function isSameStepDone(stored: StepCheckpoint, checkpoint: StepCheckpoint): boolean {
  return stored.status === 'completed' && checkpoint.status === 'completed' && stored.name === checkpoint.name;
}
