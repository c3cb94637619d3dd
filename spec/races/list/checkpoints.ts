import type { StepCheckpoint } from '../../../lib';
import { aCheckpoint, aFullCheckpoint, freshId } from '../../support/fixtures';
import { possiblyLast } from '../order';
import type { Race } from '../race';
import { sameFields } from './rows';

const STEPS = 3;

/** Calls that save three steps of one run over and over, full ones and sparse ones in turn. */
export const checkpointOverwrites: Race<{ readonly runId: string }, void> = {
  name: 'checkpoints',

  prepare: async () => ({ runId: freshId() }),

  call: (contender, { runId }, n) => contender.store(n).saveCheckpoint(version(runId, n)),

  async judge({ store }, { runId }, calls) {
    const found = await store.listCheckpoints(runId);
    const expected = new Set(calls.map(({ n }) => stepOf(n))).size;
    const violations = found.length === expected ? [] : [`${found.length} checkpoints instead of ${expected}`];
    for (const checkpoint of found) {
      const saves = calls.filter(({ n }) => stepOf(n) === checkpoint.seq);
      const completions = saves.filter(({ n }) => version(runId, n).status === 'completed');
      // A completed step is replaced by another completion only, whoever comes last.
      const last = possiblyLast(completions.length > 0 ? completions : saves);
      if (!last.some(({ n }) => sameFields(checkpoint, version(runId, n)))) {
        violations.push(`step ${checkpoint.seq} is not as one of its last writers saved it`);
      }
    }
    return violations;
  },
};

/** By sevens, so that every process saves every step. */
function stepOf(n: number): number {
  return (Math.floor(n / 7) % STEPS) - 1;
}

function version(runId: string, n: number): StepCheckpoint {
  return (n % 2 ? aFullCheckpoint : aCheckpoint)({ runId, seq: stepOf(n), stepId: 'step', output: n });
}
