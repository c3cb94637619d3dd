import type { WorkflowRun } from '../../../lib';
import { aRun, freshId } from '../../support/fixtures';
import { possiblyFirst } from '../order';
import type { Race } from '../race';
import { attributeFaults, sameFields } from './rows';

/** All calls create one run, each another version of it, with and without attributes. */
export const duplicateCreates: Race<{ readonly runId: string }, void> = {
  name: 'duplicate-creates',

  prepare: async () => ({ runId: freshId() }),

  call: (contender, { runId }, n) => contender.store(n).createRun(version(runId, n)),

  async judge(arena, { runId }, calls) {
    const run = await arena.store.getRun(runId);
    if (!run) return ['the run is missing'];
    const writer = possiblyFirst(calls).find(({ n }) => n === run.input);
    if (!writer) return [`the run is that of call ${run.input}, which came later than another`];
    return [
      ...(sameFields(run, version(runId, writer.n)) ? [] : ['the run is not whole']),
      ...(await attributeFaults(arena, run)),
    ];
  },
};

function version(id: string, n: number): WorkflowRun {
  const searchAttributes = n % 2 === 0 ? { writer: n, [`w${n % 7}`]: true, [`x${n % 5}`]: 'text' } : undefined;
  return aRun({ id, namespace: 'races', input: n, tags: [`t${n}`], searchAttributes });
}
