import { type Checkpoints, positionKey } from './checkpoints';
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

  /** @throws Superseded when another execution had completed a step that this work saved */
  assertFirst(result: unknown): void {
    if (!this.superseded) return;
    const { own, stored } = this.superseded;
    // A wrapper that encodes payloads saves another output than it returns, and then knows no better than its own.
    throw new Superseded(Object.is(result, own.output) ? stored.output : result);
  }
}

/** Rolls a transaction back whose step another execution has completed. */
export class Superseded extends Error {
  /** What the step gave. */
  constructor(readonly value: unknown) {
    super('another execution has completed this step');
  }
}

function isSameStepDone(stored: StepCheckpoint, checkpoint: StepCheckpoint): boolean {
  return stored.status === 'completed' && checkpoint.status === 'completed' && stored.name === checkpoint.name;
}
