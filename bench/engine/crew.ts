import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import type { WorkerOrder, WorkerReport, WorkerSettings } from './worker';

/** What a crew did in one go. */
export interface CrewReport {
  readonly perSecond: number;
  /** Share of the machine's CPU time that was used, by anybody, 0 to 1. */
  readonly machineBusy: number;
  /** Share of the machine's CPU time that the worker processes used. */
  readonly workersBusy: number;
}

/** Worker processes on one database. */
export class Crew {
  private constructor(private readonly members: readonly ChildProcess[]) {}

  static async start(size: number, settings: WorkerSettings): Promise<Crew> {
    const members: ChildProcess[] = [];
    for (let n = 0; n < size; n += 1) {
      const member = fork(require.resolve('./worker'), [JSON.stringify(settings)]);
      members.push(member);
      await answer(member);
    }
    return new Crew(members);
  }

  /** Share `count` workflows among the first `size` members and wait for all. */
  async run(size: number, count: number, inFlight: number): Promise<CrewReport> {
    const members = this.members.slice(0, size);
    const order: WorkerOrder = { count: Math.ceil(count / size), inFlight };
    const before = machineTime();
    const start = performance.now();
    const answers = members.map((member) => answer(member));
    for (const member of members) member.send(order);
    const reports = (await Promise.all(answers)) as WorkerReport[];
    const seconds = (performance.now() - start) / 1000;
    const after = machineTime();
    const machine = after.all - before.all;
    const workers = reports.reduce((total, { cpuSeconds }) => total + cpuSeconds, 0);
    return {
      perSecond: (order.count * size) / seconds,
      machineBusy: (after.busy - before.busy) / machine,
      workersBusy: workers / (seconds * cpus().length),
    };
  }

  async end(): Promise<void> {
    // One that broke is gone already, and the error that tells why is on its way.
    const members = this.members.filter(({ connected }) => connected);
    const gone = members.map((member) => once(member, 'exit'));
    for (const member of members) member.send('end');
    await Promise.all(gone);
  }
}

async function answer(member: ChildProcess): Promise<unknown> {
  const answered = new AbortController();
  const { signal } = answered;
  try {
    const [message] = await Promise.race([
      once(member, 'message', { signal }),
      once(member, 'exit', { signal }).then(([code]) => {
        throw new Error(`a worker process ended with code ${code}`);
      }),
    ]);
    return message;
  } finally {
    // Whoever listens on would listen for as long as the process lives.
    answered.abort();
  }
}

function machineTime(): { busy: number; all: number } {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const total = times.user + times.nice + times.sys + times.idle + times.irq;
    all += total;
    busy += total - times.idle;
  }
  return { busy, all };
}
