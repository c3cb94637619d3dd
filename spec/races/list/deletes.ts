import { DurableRunNotFoundError, type MikroOrmStateStore } from '../../../lib';
import { aCheckpoint, aRun, freshId } from '../../support/fixtures';
import { before } from '../order';
import type { Arena, Call, Race } from '../race';
import { attributesOf, waitersOf } from './rows';

/** Steps that the run has before anybody comes. */
const EARLY_STEPS = [1000, 1001, 1002];

/** What a call did, or what it saw of the run. */
type Deed = 'deleted' | 'checkpoint' | 'waiter' | 'patched' | 'absent' | Seen;

/** What a reader found of a run. */
export interface Seen {
  readonly run: boolean;
  /** Checkpoints of the steps it had before. */
  readonly steps: number;
}

/**
 * A run is deleted by some calls while others write to it and read it. Afterwards the run is gone with all it had, but for
 * what was written after, or while, it was deleted.
 */
export const deletesAgainstWriters: Race<{ readonly runId: string }, Deed> = {
  name: 'delete',

  async prepare({ store }) {
    const runId = freshId();
    await store.createRun(aRun({ id: runId, searchAttributes: { early: 1 } }));
    for (const seq of EARLY_STEPS) {
      await store.saveCheckpoint(aCheckpoint({ runId, seq, status: 'running' }));
      await store.putSignalWaiter({ token: `${runId}:${seq}`, runId, seq });
    }
    return { runId };
  },

  call: (contender, { runId }, n) => deed(contender.store(n), runId, n),

  async judge(arena, { runId }, calls) {
    const deletes = calls.filter(({ answer }) => answer === 'deleted');
    if (deletes.length === 0) return [];
    return [
      ...((await arena.store.getRun(runId)) ? ['the run is still there'] : []),
      ...(await attributesOf(arena, runId)).map(([key]) => `the attribute ${key} of no run is left`),
      ...(await leftoverFaults(arena, runId, calls, deletes)),
      ...calls.flatMap((call) => answerFaults(call, deletes)),
    ];
  },
};

async function deed(store: MikroOrmStateStore, runId: string, n: number): Promise<Deed> {
  // By fives, so that every process does everything.
  switch (Math.floor(n / 5) % 6) {
    case 1:
      return store.deleteRun(runId).then(() => 'deleted');
    case 2:
      return store.saveCheckpoint(aCheckpoint({ runId, seq: n })).then(() => 'checkpoint');
    case 3:
      return store.putSignalWaiter({ token: `${runId}:${n}`, runId, seq: n }).then(() => 'waiter');
    case 4:
      return unlessAbsent(store.updateRun(runId, { searchAttributes: { [`late ${n}`]: n } }));
    default:
      return look(store, runId, EARLY_STEPS, n % 2 === 0);
  }
}

/** A patch's answer; that the run is gone is one. */
export async function unlessAbsent(patch: Promise<void>): Promise<'patched' | 'absent'> {
  try {
    await patch;
    return 'patched';
  } catch (error) {
    if (error instanceof DurableRunNotFoundError) return 'absent';
    throw error;
  }
}

/** Look for a run and for these steps of it, in either order. */
export async function look(
  store: MikroOrmStateStore,
  runId: string,
  steps: readonly number[],
  runFirst: boolean,
): Promise<Seen> {
  const seesRun = async () => (await store.getRun(runId)) !== null;
  const countSteps = async () => (await store.listCheckpoints(runId)).filter(({ seq }) => steps.includes(seq)).length;
  if (runFirst) return { run: await seesRun(), steps: await countSteps() };
  const seen = await countSteps();
  return { run: seen === 0 ? await seesRun() : true, steps: seen };
}

async function leftoverFaults(
  arena: Arena,
  runId: string,
  calls: readonly Call<Deed>[],
  deletes: readonly Call[],
): Promise<string[]> {
  const checkpoints = (await arena.store.listCheckpoints(runId)).map(({ seq }) => seq);
  const kinds = [
    ['checkpoint', checkpoints],
    ['waiter', await waitersOf(arena, runId)],
  ] as const;
  return kinds.flatMap(([kind, left]) => {
    arena.note(`${kind}s written too late to be deleted`, left.length);
    const writers = calls.filter(({ answer }) => answer === kind);
    const excused = (seq: number) => writers.some((call) => call.n === seq && !deletes.some((d) => before(call, d)));
    return left.filter((seq) => !excused(seq)).map((seq) => `the ${kind} of step ${seq} was left by a delete`);
  });
}

function answerFaults(call: Call<Deed>, deletes: readonly Call[]): string[] {
  const { answer, n } = call;
  const mayBeGone = deletes.some((each) => !before(call, each));
  const mustBeGone = deletes.some((each) => before(each, call));
  const [run, steps] = typeof answer === 'object' ? [answer.run, answer.steps] : [answer === 'patched', 0];
  if (typeof answer === 'string' && answer !== 'patched' && answer !== 'absent') return [];
  if (!run && steps > 0) return [`call ${n} saw ${steps} checkpoints of a deleted run`];
  if (!run && !mayBeGone) return [`call ${n} missed a run that was not yet deleted`];
  return run && mustBeGone ? [`call ${n} found a deleted run`] : [];
}
