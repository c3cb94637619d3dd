import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { WorkflowRun } from '../../../lib';
import { eventually } from '../../support/concurrency';
import { freshId } from '../../support/fixtures';
import type { Arena, Contender, Race } from '../race';
import { tokenOf, WAITING, waitingEngine } from '../waiting';

interface Runs {
  readonly prefix: string;
}

/** Reads with which a sender lets a run get as far as a suspension takes it. */
const MOST_READS = 14;

/**
 * Real engines in different processes, many runs: for even calls a run starts and waits for a signal, odd ones send that
 * signal once. The engines never look again by themselves, so every run must be woken by what it is sent.
 *
 * One wake-up the engine loses by itself: it delivers a signal, finds that the run's lease is still held by the turn that
 * is about to suspend it, and leaves. The payload is in the run's checkpoint then, and its next turn goes on with it. Such
 * runs are counted, woken and judged like the others.
 */
export const wakeUps: Race<Runs, void> = {
  name: 'wake-ups',

  prepare: async () => ({ prefix: freshId() }),

  arrive: async (contender) => contender.engine(),

  async call(contender, { prefix }, n) {
    if (n % 2 === 1) return send(contender, runIdOf(prefix, n), n);
    const engine = contender.engine();
    await engine.start(WAITING, {}, runIdOf(prefix, n));
    await engine.waitForRun(runIdOf(prefix, n));
  },

  async judge(arena, { prefix }, calls) {
    const engine = waitingEngine(arena.store);
    const violations: string[] = [];
    for (let n = 1; n < calls.length; n += 2) violations.push(...(await runFaults(arena, engine, prefix, n)));
    await engine.drain();
    await arena.store.settled();
    return violations;
  },
};

function runIdOf(prefix: string, n: number): string {
  return `${prefix}:${Math.floor(n / 2)}`;
}

async function send(contender: Contender, runId: string, n: number): Promise<void> {
  for (let reads = Math.random() * MOST_READS; reads > 1; reads -= 1) await contender.store(n).getRun(runId);
  await contender.engine().signal(tokenOf(runId), n);
}

async function runFaults(arena: Arena, engine: WorkflowEngine, prefix: string, n: number): Promise<string[]> {
  const runId = runIdOf(prefix, n);
  let run = await eventually('the run rests', () => resting(arena, runId));
  const checkpoint = await arena.store.getCheckpoint(runId, 0);
  if (run.status === 'suspended' && checkpoint?.status === 'completed') {
    arena.note('signals that came while the suspending turn held the lease', 1);
    await engine.runOne(runId);
    run = await eventually('the run rests', () => resting(arena, runId));
  }
  const buffered = await arena.store.takeBufferedSignal(tokenOf(runId));
  const woken = run.status === 'completed' && run.output === n;
  return [
    ...(woken ? [] : [`${runId} is ${run.status} with ${JSON.stringify(run.output)}, its signal was ${n}`]),
    ...(buffered ? [`the signal of ${runId} is still buffered`] : []),
  ];
}

/** The run, once nobody executes it. */
async function resting({ store }: Arena, runId: string): Promise<WorkflowRun | undefined> {
  const run = await store.getRun(runId);
  if (!run) throw new Error(`${runId} is missing`);
  const isResting = run.lockedBy === undefined && (run.status === 'suspended' || run.status === 'completed');
  return isResting ? run : undefined;
}
