import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { MikroOrmControlPlane, MikroOrmStateStore } from '../../lib';
import type { BenchDatabase } from '../databases';
import { openOrm } from '../subjects/ours';
import { poll } from './polling';

/** What a process that takes work over is started with. */
export interface HandOverSettings {
  readonly target: BenchDatabase;
  /** Whether it hears of work, besides asking for it every second. */
  readonly hears: boolean;
}

/** What it says when a workflow's body begins: the run, and when, in milliseconds of the wall clock with fractions. */
export interface Begun {
  readonly runId: string;
  readonly at: number;
}

/** A worker as the README has it: it polls, and hears of work if it has a control plane. */
async function main({ target, hears }: HandOverSettings): Promise<void> {
  const orm = await openOrm(target);
  const store = new MikroOrmStateStore(orm);
  const plane = hears ? new MikroOrmControlPlane(orm) : undefined;
  const engine = new WorkflowEngine({ store, controlPlane: plane });
  engine.register('touch', '1', async ({ runId }) => {
    process.send?.({ runId, at: performance.timeOrigin + performance.now() } satisfies Begun);
  });
  engine.onEnqueued((runId) => void engine.runOne(runId));
  const stop = new AbortController();
  process.once('message', () => stop.abort());
  process.once('disconnect', () => stop.abort());
  process.send?.('ready');
  await poll(engine, stop.signal);
  await engine.drain();
  await plane?.close();
  await store.settled();
  await orm.close(true);
  if (process.connected) process.disconnect();
}

main(JSON.parse(process.argv[2] ?? '{}')).catch((error) => {
  console.error(error);
  process.exit(1);
});
