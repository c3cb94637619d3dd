import { once } from 'node:events';
import type { BenchDatabase } from '../databases';
import { openSubject, type SubjectName } from '../subjects';
import { TenSteps } from './workflows';

/** What a worker process is started with. */
export interface WorkerSettings {
  readonly subject: SubjectName;
  readonly target: BenchDatabase;
}

/** What it is told to do. */
export interface WorkerOrder {
  readonly count: number;
  readonly inFlight: number;
}

/** What it answers. */
export interface WorkerReport {
  readonly perSecond: number;
  /** CPU time of this process while it ran them, in seconds. */
  readonly cpuSeconds: number;
}

/** A process of an application: its own connections, its own engine, as many runs as it is told to do. */
async function main(settings: WorkerSettings): Promise<void> {
  const subject = await openSubject(settings.subject, settings.target);
  const engine = new TenSteps(subject.store);
  process.send?.('ready');
  for (;;) {
    const [order] = (await once(process, 'message')) as [WorkerOrder | 'end'];
    if (order === 'end') break;
    const before = process.cpuUsage();
    const perSecond = await engine.run(order.count, order.inFlight);
    const { user, system } = process.cpuUsage(before);
    process.send?.({ perSecond, cpuSeconds: (user + system) / 1e6 } satisfies WorkerReport);
  }
  await subject.close();
  process.disconnect();
}

main(JSON.parse(process.argv[2] ?? '{}')).catch((error) => {
  console.error(error);
  process.exit(1);
});
