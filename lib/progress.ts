import { type Condition, UNRESTRICTED } from './scope';
import type { Tables } from './tables';
import { type RunStatus, UNLOCKABLE_STATUSES, type WorkflowRun } from './types';

/**
 * Which ended runs a patch leaves as they are. Two turns of one run may overlap (the engine takes no second lease for a run it
 * holds, and a stalled process may wake up beside the one that took over), and then the older one writes last.
 *
 * - `none`: no status, an end (`completed`, `cancelled`), or a re-opening: nothing is left out.
 * - `ended`: `failed` and `dead` do not replace another end.
 * - `unfinished`: what has ended is not set back. A `failed` run is by whoever holds its lease: the engine resumes it so.
 */
export type Guard = 'none' | 'ended' | 'unfinished';

const REACHED: readonly RunStatus[] = ['completed', 'cancelled'];
const GIVEN_UP: readonly RunStatus[] = ['failed', 'dead'];

/** What a patch must not undo. */
export function guardOf(patch: Partial<WorkflowRun>): Guard {
  const { status } = patch;
  if (status === undefined || REACHED.includes(status) || isReopening(patch)) return 'none';
  return GIVEN_UP.includes(status) ? 'ended' : 'unfinished';
}

/** Whether the engine opens an ended run again (`requeue`): a patch to `pending` that takes the run's error away. */
export function isReopening(patch: Partial<WorkflowRun>): boolean {
  return patch.status === 'pending' && Object.hasOwn(patch, 'error') && patch.error === undefined;
}

/** The runs a guarded patch may change, as a condition to append. `holder` is who may carry a failed run on, while the lease is theirs. */
export function progressOf({ runs }: Tables, guard: Guard, holder: string | undefined): Condition {
  if (guard === 'none') return UNRESTRICTED;
  const [status, lockedBy] = [runs.column('status'), runs.column('lockedBy')];
  const notEnded = `${status} not in (${literals(UNLOCKABLE_STATUSES)})`;
  if (guard === 'ended') return { text: ` and ${notEnded}`, params: [] };
  if (holder === undefined) return { text: ` and ${notEnded} and ${status} <> 'failed'`, params: [] };
  return { text: ` and ${notEnded} and (${status} <> 'failed' or ${lockedBy} = ?)`, params: [holder] };
}

/** Statuses as SQL text. */
export function literals(statuses: readonly RunStatus[]): string {
  return statuses.map((status) => `'${status}'`).join(', ');
}

/**
 * When a saved checkpoint `replaces` the one that is there: a completed step stays completed, unless its run has been given
 * up, as it is while the engine opens it again. `replaced` says the same once the status has been assigned. `added` is how an
 * upsert names a column of the row it brings.
 */
export function replacesCheckpoint(
  { runs, checkpoints }: Tables,
  added: (column: string) => string,
): { replaces: string; replaced: string } {
  const [status, runId] = [checkpoints.column('status'), checkpoints.column('runId')];
  const stored = `${checkpoints.name}.${status}`;
  const givenUp =
    `select 1 from ${runs.name} as owner where owner.${runs.column('id')} = ${checkpoints.name}.${runId} ` +
    `and owner.${runs.column('status')} in (${literals(GIVEN_UP)})`;
  const replaced = `${stored} <> 'completed' or ${added(status)} = 'completed'`;
  return { replaces: `${replaced} or exists (${givenUp})`, replaced };
}

/**
 * That a step is completed, by the expressions of its run and position. A waiter of a completed step is none: an older turn
 * has put it again, and the signal it takes would be written over the step's result and reach nobody.
 */
export function stepCompleted({ checkpoints }: Tables, runId: string, seq: string): string {
  const column = (property: 'runId' | 'seq' | 'status') => `step.${checkpoints.column(property)}`;
  const text = `select 1 from ${checkpoints.name} as step where ${column('runId')} = ${runId} and ${column('seq')} = ${seq}`;
  return `exists (${text} and ${column('status')} = 'completed')`;
}
