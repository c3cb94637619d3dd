import { setTimeout as delay, setImmediate as macrotask } from 'node:timers/promises';
import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { RunStatus, WorkflowRun } from '../../lib';
import { eventually } from '../support/concurrency';
import { freshId } from '../support/fixtures';
import type { Guards } from './guards';
import { countOverwrites } from './overwrites';
import { Timeline } from './timeline';
import type { World } from './world';

/** How a run's first turn ends, and when the signal comes that a suspended one waits for. */
export type Ending = 'completing' | 'failing' | 'suspending' | 'signalled at once';

export interface Setting {
  readonly ending: Ending;
  readonly guards: Guards;
  readonly runs: number;
  /** Runs under way at a time. */
  readonly atOnce: number;
  /** Pause of the polling peer between two passes, in ms. */
  readonly pollMs: number;
}

/** What two engines made of a number of runs. */
export interface Finding {
  readonly setting: Setting;
  /** Runs whose workflow function was called more often than it had to be. */
  readonly runsAgain: number;
  /** Calls of workflow functions beyond those. */
  readonly extraTurns: number;
  /** Steps that ran after an earlier execution of them had returned. */
  readonly stepsAgain: number;
  /** Runs that a peer took for crashed. */
  readonly recovered: number;
  readonly overwrites: number;
  /** Runs that did not come to the end they should have. */
  readonly unfinished: number;
  readonly statuses: ReadonlyMap<RunStatus, number>;
  /** Timelines of runs that were executed more often, or did not end. */
  readonly traces: readonly string[][];
}

/** Where the first turn leads, where the run ends, and in how many turns: one, or one up to the signal and one from there. */
const COURSE: Record<Ending, { readonly first: RunStatus; readonly last: RunStatus; readonly turns: number }> = {
  completing: { first: 'completed', last: 'completed', turns: 1 },
  failing: { first: 'failed', last: 'failed', turns: 1 },
  suspending: { first: 'suspended', last: 'completed', turns: 2 },
  'signalled at once': { first: 'suspended', last: 'completed', turns: 2 },
};
/** Passes in which the peer must have found nothing more to do. */
const LAST_PASSES = 3;

/** Two engines with a store and connections each, in a world of their own; one starts runs, its peer polls. */
export class Experiment {
  private readonly turns = new Map<string, number>();
  private readonly stepsDone = new Set<string>();
  private readonly timeline = new Timeline();
  private readonly engine: WorkflowEngine;
  private readonly peer: WorkflowEngine;
  private readonly runIds: string[];
  private stepsAgain = 0;
  private passes = 0;
  private over = false;

  constructor(
    private readonly world: World,
    private readonly setting: Setting,
  ) {
    [this.engine, this.peer] = world.stores(setting.guards).map((store, position) => {
      const who = position === 0 ? 'engine' : 'peer';
      const engine = new WorkflowEngine({ store: this.timeline.watch(who, store) });
      engine.register('work', '1', (ctx) => this.turn(who, ctx.runId, ctx));
      return engine;
    }) as [WorkflowEngine, WorkflowEngine];
    this.runIds = Array.from({ length: setting.runs }, () => freshId());
  }

  async carryOut(): Promise<Finding> {
    const polling = this.poll();
    try {
      await this.each((runId) => this.begin(runId));
      let runs = await this.rest();
      if (this.setting.ending === 'suspending') {
        await this.each((runId) => this.signal(runId));
        runs = await this.rest();
      }
      return this.finding(runs, await countOverwrites(this.world.orm));
    } finally {
      this.over = true;
      await polling;
      await Promise.all([this.engine.drain(), this.peer.drain()]);
    }
  }

  /** What the workflow does: a step, and perhaps a wait. */
  private async turn(who: string, runId: string, ctx: Parameters<Parameters<WorkflowEngine['register']>[2]>[0]) {
    this.turns.set(runId, (this.turns.get(runId) ?? 0) + 1);
    this.timeline.note(runId, who, 'the workflow function begins');
    await ctx.localStep('work', async () => {
      if (this.stepsDone.has(runId)) this.stepsAgain += 1;
    });
    this.stepsDone.add(runId);
    if (this.setting.ending === 'failing') throw new Error('as it should');
    if (this.setting.ending !== 'completing') await ctx.waitForSignal(`signal:${runId}`);
  }

  /** For every run, so many at a time. */
  private async each(act: (runId: string) => Promise<unknown>): Promise<void> {
    const queue = this.runIds.values();
    const slot = async () => {
      for (const runId of queue) await act(runId);
    };
    await Promise.all(Array.from({ length: this.setting.atOnce }, slot));
  }

  private async begin(runId: string): Promise<void> {
    const { ending } = this.setting;
    await this.engine.start('work', {}, runId);
    const { first } = COURSE[ending];
    await eventually(`${runId} is ${first}`, async () => (await this.world.store.getRun(runId))?.status === first);
    if (ending === 'signalled at once') await this.signal(runId);
  }

  private async signal(runId: string): Promise<void> {
    this.timeline.note(runId, 'engine', 'sends the signal');
    await this.engine.signal(`signal:${runId}`, 'go on');
  }

  private async poll(): Promise<void> {
    while (!this.over) {
      await this.peer.recoverIncomplete();
      await this.peer.runPending();
      await this.peer.resumeDueTimers();
      this.passes += 1;
      await (this.setting.pollMs > 0 ? delay(this.setting.pollMs) : macrotask());
    }
  }

  /** The runs, when nobody executes one and the peer found nothing to do. */
  private async rest(): Promise<WorkflowRun[]> {
    let quietSince = this.passes;
    let runs: WorkflowRun[] = [];
    await eventually('all runs rest', async () => {
      runs = await this.world.store.listRuns({});
      if (!runs.every(isAtRest)) quietSince = this.passes;
      return this.passes > quietSince + LAST_PASSES;
    });
    return runs;
  }

  private finding(runs: readonly WorkflowRun[], overwrites: number): Finding {
    const { last, turns } = COURSE[this.setting.ending];
    const beyond = ({ id }: WorkflowRun) => Math.max(0, (this.turns.get(id) ?? 0) - turns);
    const again = runs.filter((run) => beyond(run) > 0);
    const unfinished = runs.filter(({ status }) => status !== last);
    return {
      setting: this.setting,
      runsAgain: again.length,
      extraTurns: runs.reduce((sum, run) => sum + beyond(run), 0),
      stepsAgain: this.stepsAgain,
      recovered: runs.filter(({ recoveryAttempts }) => recoveryAttempts).length,
      overwrites,
      unfinished: unfinished.length,
      statuses: countBy(runs.map(({ status }) => status)),
      traces: [...new Set([...unfinished, ...again])].map(({ id }) => this.timeline.of(id)),
    };
  }
}

/** Whether nobody executes a run. A finished one that was leased again keeps that lease until it expires. */
function isAtRest({ status, lockedBy }: WorkflowRun): boolean {
  return status === 'suspended' ? lockedBy === undefined : TERMINAL.includes(status);
}

const TERMINAL: readonly RunStatus[] = ['completed', 'failed', 'cancelled', 'dead'];

function countBy<Key>(keys: readonly Key[]): Map<Key, number> {
  const counts = new Map<Key, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
