import type { MikroOrmStateStore, RetentionPolicy } from '../../../lib';
import { aCheckpoint, aRun, freshId } from '../../support/fixtures';
import { before } from '../order';
import type { Arena, Call, Race } from '../race';
import { look, type Seen, unlessAbsent } from './deletes';
import { attributesOf, waitersOf } from './rows';

const RUNS = 24;
/** Runs a call prunes at most. */
const BATCH = 5;
/** The step every run has before anybody comes. */
const EARLY_STEP = -1;
const ENDED_AT = new Date('2020-01-01T00:00:00Z');
const NOW_MS = Date.parse('2021-01-01T00:00:00Z');
const POLICY: RetentionPolicy = { statuses: ['failed'], maxAge: '1h' };

interface Pruned {
  readonly runIds: readonly string[];
}

type Deed =
  | { readonly pruned: number }
  | { readonly requeued: 'patched' | 'absent' }
  | { readonly saved: true }
  | { readonly seen: Seen };

/** Failed runs past their time are pruned by some calls while others put them back in the queue, write to them and read them. */
export const pruneAgainstWriters: Race<Pruned, Deed> = {
  name: 'prune',

  async prepare({ store }) {
    // What the last round left would be counted in this one.
    await store.pruneTerminalRuns(POLICY, NOW_MS, RUNS);
    const runIds = Array.from({ length: RUNS }, () => freshId());
    for (const id of runIds) {
      await store.createRun(aRun({ id, status: 'failed', updatedAt: ENDED_AT, searchAttributes: { early: 1 } }));
      await store.saveCheckpoint(aCheckpoint({ runId: id, seq: EARLY_STEP, status: 'running' }));
      await store.putSignalWaiter({ token: id, runId: id, seq: EARLY_STEP });
    }
    return { runIds };
  },

  call: (contender, { runIds }, n) => deed(contender.store(n), runIds[runOf(n)] as string, n),

  async judge(arena, { runIds }, calls) {
    const exist = await Promise.all(runIds.map(async (runId) => (await arena.store.getRun(runId)) !== null));
    const gone = exist.filter((exists) => !exists).length;
    const counted = calls.reduce((sum, { answer }) => sum + ('pruned' in answer ? answer.pruned : 0), 0);
    arena.note('runs pruned', gone);
    const faults = runIds.map((runId, position) => {
      const ofRun = calls.filter(({ n, answer }) => 'pruned' in answer || runOf(n) === position);
      return exist[position] ? keptFaults(arena, runId, ofRun) : prunedFaults(arena, runId, ofRun);
    });
    return [
      ...(gone === counted ? [] : [`${gone} runs are gone, ${counted} were counted`]),
      ...(await Promise.all(faults)).flat(),
    ];
  },
};

function runOf(n: number): number {
  return (n * 5) % RUNS;
}

async function deed(store: MikroOrmStateStore, runId: string, n: number): Promise<Deed> {
  // By fours, so that every process does everything.
  switch (Math.floor(n / 4) % 5) {
    case 1:
      return { pruned: await store.pruneTerminalRuns(POLICY, NOW_MS, BATCH) };
    case 2:
    case 3:
      // As `engine.requeue` does.
      await store.releaseRunLock(runId);
      return {
        requeued: await unlessAbsent(
          store.updateRun(runId, { status: 'pending', error: undefined, recoveryAttempts: 0, updatedAt: new Date() }),
        ),
      };
    case 4:
      return store.saveCheckpoint(aCheckpoint({ runId, seq: n })).then(() => ({ saved: true }));
    default:
      return { seen: await look(store, runId, [EARLY_STEP], n % 2 === 0) };
  }
}

/** Of a run that is there: nothing of it may be missing, and nobody may have missed it. */
async function keptFaults(arena: Arena, runId: string, calls: readonly Call<Deed>[]): Promise<string[]> {
  const saved = calls.filter(({ answer }) => 'saved' in answer).map(({ n }) => n);
  const steps = (await arena.store.listCheckpoints(runId)).map(({ seq }) => seq);
  const missing = [EARLY_STEP, ...saved].filter((seq) => !steps.includes(seq));
  const missedBy = calls.filter(({ answer }) => isMiss(answer));
  return [
    ...missing.map((seq) => `step ${seq} of a run that was kept is gone`),
    ...((await attributesOf(arena, runId)).length === 1 ? [] : ['the attribute of a run that was kept is gone']),
    ...((await waitersOf(arena, runId)).length === 1 ? [] : ['the waiter of a run that was kept is gone']),
    ...missedBy.map(({ n }) => `call ${n} missed a run that was kept`),
  ];
}

/** Of a run that is gone: nothing may be left but what was written while it was deleted, or later. */
async function prunedFaults(arena: Arena, runId: string, calls: readonly Call<Deed>[]): Promise<string[]> {
  const prunes = calls.filter(({ answer }) => 'pruned' in answer && answer.pruned > 0);
  const excused = ({ seq }: { seq: number }) =>
    calls.some((call) => call.n === seq && 'saved' in call.answer && !prunes.every((prune) => before(call, prune)));
  const left = (await arena.store.listCheckpoints(runId)).filter((checkpoint) => !excused(checkpoint));
  const requeues = calls.filter(({ answer }) => 'requeued' in answer && answer.requeued === 'patched');
  const halves = calls.filter(({ answer }) => 'seen' in answer && !answer.seen.run && answer.seen.steps > 0);
  return [
    ...left.map(({ seq }) => `step ${seq} of a pruned run is left`),
    ...(await attributesOf(arena, runId)).map(([key]) => `the attribute ${key} of a pruned run is left`),
    ...(await waitersOf(arena, runId)).map((seq) => `the waiter of step ${seq} of a pruned run is left`),
    ...requeues.map(({ n }) => `the run that call ${n} put back in the queue is gone`),
    ...halves.map(({ n }) => `call ${n} saw checkpoints of a pruned run`),
  ];
}

function isMiss(answer: Deed): boolean {
  return ('requeued' in answer && answer.requeued === 'absent') || ('seen' in answer && !answer.seen.run);
}
