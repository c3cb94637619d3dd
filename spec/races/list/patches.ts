import type { WorkflowRun } from '../../../lib';
import { aRun, freshId } from '../../support/fixtures';
import { possiblyLast } from '../order';
import type { Arena, Call, Race } from '../race';
import { attributeFaults } from './rows';

/** One field each, with a value that tells the call it came from. */
const PATCHES: readonly ((n: number) => Partial<WorkflowRun>)[] = [
  (n) => ({ input: n }),
  (n) => ({ output: { n } }),
  (n) => ({ error: { message: `error ${n}` } }),
  (n) => ({ wakeAt: 1000 + n }),
  (n) => ({ tags: [`tag-${n}`] }),
  (n) => ({ awaitingDecisionTaskId: `turn-${n}` }),
  (n) => ({ recoveryAttempts: n }),
  (n) => ({ priority: n }),
  (n) => ({ updatedAt: new Date(1_772_359_200_000 + n) }),
  (n) => ({ searchAttributes: { n, [`k${n % 3}`]: `value ${n}` } }),
];

/** Calls that patch ten fields of one run: each field ends as one of its own last writers left it. */
export const patchesOfDifferentFields: Race<{ readonly runId: string }, void> = {
  name: 'patches',

  async prepare({ store }) {
    const run = aRun({ id: freshId(), lockedBy: 'me', lockedUntil: 1000 });
    await store.createRun(run);
    return { runId: run.id };
  },

  call: (contender, { runId }, n) => contender.store(n).updateRun(runId, patch(n)),

  async judge(arena, { runId }, calls) {
    const run = await arena.store.getRun(runId);
    if (!run) return ['the run is missing'];
    const violations = await attributeFaults(arena, run);
    if (run.lockedBy !== 'me' || run.lockedUntil !== 1000) violations.push('the lease was touched');
    for (const field of PATCHES.keys()) {
      const last = possiblyLast(calls.filter(({ n }) => n % PATCHES.length === field));
      if (last.length > 0 && !last.some(({ n }) => holds(run, patch(n)))) {
        violations.push(`no last writer’s ${Object.keys(patch(field))} stayed`);
      }
    }
    return violations;
  },
};

function patch(n: number): Partial<WorkflowRun> {
  return (PATCHES[n % PATCHES.length] as (n: number) => Partial<WorkflowRun>)(n);
}

function holds(run: WorkflowRun, fields: Partial<WorkflowRun>): boolean {
  return Object.entries(fields).every(
    ([field, value]) => JSON.stringify(run[field as keyof WorkflowRun]) === JSON.stringify(value),
  );
}

interface Rewritten {
  readonly runIds: readonly string[];
}

/** Rewrites of all attributes, call after call another run; what the run holds and what is indexed is one writer's. */
function attributeRewrites(name: string, runs: number): Race<Rewritten, void> {
  return {
    name,

    async prepare({ store }) {
      const runIds = Array.from({ length: runs }, () => freshId());
      for (const id of runIds) await store.createRun(aRun({ id, searchAttributes: attributes(63) }));
      return { runIds };
    },

    call: (contender, { runIds }, n) =>
      contender.store(n).updateRun(runIds[n % runs] as string, { searchAttributes: attributes(n) }),

    async judge(arena, { runIds }, calls) {
      const faults = runIds.map((runId, position) =>
        rewriteFaults(
          arena,
          runId,
          calls.filter(({ n }) => n % runs === position),
        ),
      );
      return (await Promise.all(faults)).flat();
    },
  };
}

export const attributesOfOneRun = attributeRewrites('attributes-one-run', 1);
export const attributesOfManyRuns = attributeRewrites('attributes-runs', 12);

/** Some of six keys, so that rewrites add, change and remove. */
function attributes(n: number): Record<string, number> {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'].filter((_, bit) => ((n * 7) >> bit) & 1);
  return Object.fromEntries([['n', n], ...keys.map((key) => [key, n])]);
}

async function rewriteFaults(arena: Arena, runId: string, calls: readonly Call[]): Promise<string[]> {
  const run = await arena.store.getRun(runId);
  if (!run) return ['a run is missing'];
  const last =
    calls.length === 0 || possiblyLast(calls).some(({ n }) => holds(run, { searchAttributes: attributes(n) }));
  return [...(last ? [] : ['no last writer’s attributes stayed']), ...(await attributeFaults(arena, run))];
}
