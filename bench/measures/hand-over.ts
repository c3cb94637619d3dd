import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { MikroOrmControlPlane, MikroOrmStateStore } from '../../lib';
import { type BenchDatabase, createDatabase, dropDatabase } from '../databases';
import type { Begun, HandOverSettings } from '../engine/hand-over-worker';
import { figure, percentile } from '../stats';
import { createTables, openOrm } from '../subjects/ours';
import type { Context, Line, Result } from './measure';
import { freshScope } from './rounds';

const WAYS = ['polling', 'control plane'] as const;
const GAP_MS = 250;
const QUIET_MS = 10_000;

/** How long a run that one process starts waits until its body begins in another. */
export async function handOver(context: Context): Promise<Result> {
  const [busy, quiet] = context.options.quick ? [10, 1] : [100, 5];
  const waits = new Map<string, number[]>();
  for (const way of WAYS) {
    const target = await createDatabase(context.place, `hand_over_${way.replace(' ', '_')}`);
    try {
      await createTables(target);
      await between(target, way === 'control plane', async (start) => {
        context.progress(`hand-over: ${way}, starts at random times`);
        await start();
        const often: number[] = [];
        for (let n = 0; n < busy; n += 1) {
          await delay(Math.random() * 2 * GAP_MS);
          often.push(await start());
        }
        waits.set(`${way} busy`, often);
        context.progress(`hand-over: ${way}, after ${QUIET_MS} ms without work`);
        const seldom: number[] = [];
        for (let n = 0; n < quiet; n += 1) {
          await delay(QUIET_MS + Math.random() * 1000);
          seldom.push(await start());
        }
        waits.set(`${way} quiet`, seldom);
      });
    } finally {
      await dropDatabase(context.place, target);
    }
  }
  const line = (name: string, shape: string, part: number): Line => ({
    name,
    figures: Object.fromEntries(
      WAYS.map((way) => [way, figure([percentile(waits.get(`${way} ${shape}`) ?? [], part)])]),
    ),
    ratios: {},
  });
  return {
    measure: 'hand-over',
    title: 'From `start` in one process to the body of the workflow in another',
    unit: 'ms',
    higherIsBetter: false,
    columns: WAYS,
    lines: [
      line('p50', 'busy', 0.5),
      line('p95', 'busy', 0.95),
      line('after ten seconds without work, p50', 'quiet', 0.5),
    ],
    notes: [
      `${busy} starts, one after the other, ${GAP_MS} ms apart on average; then ${quiet} with ${QUIET_MS / 1000} s of rest before each`,
      'the worker polls every second in either case',
    ],
    plot: 'none',
  };
}

/** Two processes, this one, which starts runs, and one that executes them; `start` resolves to how long a run waited. */
async function between(
  target: BenchDatabase,
  hears: boolean,
  work: (start: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const settings: HandOverSettings = { target, hears };
  const worker = fork(require.resolve('../engine/hand-over-worker'), [JSON.stringify(settings)]);
  await once(worker, 'message');
  const orm = await openOrm(target);
  const plane = hears ? new MikroOrmControlPlane(orm) : undefined;
  const store = new MikroOrmStateStore(orm);
  const engine = new WorkflowEngine({ store, controlPlane: plane, runDispatcher: { dispatch: () => undefined } });
  engine.register('touch', '1', async () => undefined);
  try {
    await work(async () => {
      const runId = freshScope();
      const begun = once(worker, 'message');
      const since = performance.timeOrigin + performance.now();
      await engine.start('touch', {}, runId);
      const [{ at }] = (await begun) as [Begun];
      return at - since;
    });
  } finally {
    const gone = once(worker, 'exit');
    if (worker.connected) worker.send('end');
    await gone;
    await plane?.close();
    await store.settled();
    await orm.close(true);
  }
}
