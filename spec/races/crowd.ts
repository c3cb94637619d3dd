import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Order, RacerSettings, Report } from './message';
import { instant } from './order';
import type { Call, FailedCall } from './race';

const ROOT = join(__dirname, '../..');
/** From the word to the start: enough for it to reach every process. */
const START_IN_MS = 4;

/** What came of a round's calls. */
export interface Outcome {
  readonly answered: readonly Call[];
  readonly failed: readonly FailedCall[];
}

/** Processes that take part in races on one database, alive from the first race to the last. */
export class Crowd {
  private constructor(private readonly racers: readonly Racer[]) {}

  static async start(count: number, settings: RacerSettings): Promise<Crowd> {
    const racers = Array.from({ length: count }, () => new Racer(settings));
    const crowd = new Crowd(racers);
    try {
      await Promise.all(racers.map((racer) => racer.report('ready')));
    } catch (error) {
      await crowd.stop();
      throw error;
    }
    return crowd;
  }

  /** Have `calls` calls made by all processes from one instant on: dealt out in turn, and made in any order. */
  async round(race: string, plan: unknown, calls: number): Promise<Outcome> {
    const numbers = Array.from({ length: calls }, (_, n) => n);
    const dealt = this.racers.map((_, process) => shuffled(numbers.filter((n) => n % this.racers.length === process)));
    await Promise.all(
      this.racers.map((racer, process) =>
        racer.ask({ what: 'prepare', race, plan, calls: dealt[process] ?? [] }, 'ready'),
      ),
    );
    const at = instant() + START_IN_MS;
    const reports = await Promise.all(this.racers.map((racer) => racer.ask({ what: 'go', at }, 'done')));
    return {
      answered: reports.flatMap(({ answered }) => answered),
      failed: reports.flatMap(({ failed }) => failed),
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.racers.map((racer) => racer.leave()));
  }
}

function shuffled(numbers: readonly number[]): number[] {
  const places = numbers.map((n) => ({ n, place: Math.random() }));
  return places.sort((a, b) => a.place - b.place).map(({ n }) => n);
}

/** One process as its parent sees it. */
class Racer {
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;
  private hear: (report: Report) => void = () => undefined;
  private readonly heard: Report[] = [];

  constructor(settings: RacerSettings) {
    this.child = fork(join(__dirname, 'worker.ts'), [], {
      cwd: ROOT,
      env: { ...process.env, RACER: JSON.stringify(settings) },
      execArgv: ['--import', 'tsx'],
      serialization: 'advanced',
    });
    this.ended = once(this.child, 'exit');
    this.child.on('message', (report: Report) => {
      this.heard.push(report);
      this.hear(report);
    });
  }

  ask<What extends Report['what']>(order: Order, answer: What): Promise<Extract<Report, { what: What }>> {
    this.child.send(order);
    return this.report(answer);
  }

  /** The next report, which must be this one. */
  async report<What extends Report['what']>(what: What): Promise<Extract<Report, { what: What }>> {
    const next = new Promise<void>((resolve) => {
      this.hear = () => resolve();
    });
    if (this.heard.length === 0) await Promise.race([next, this.ended]);
    const report = this.heard.shift();
    if (report?.what === what) return report as Extract<Report, { what: What }>;
    throw new Error(`a racing process said ${JSON.stringify(report) ?? 'nothing and ended'} instead of ${what}`);
  }

  async leave(): Promise<void> {
    if (this.child.connected) this.child.send({ what: 'leave' } satisfies Order);
    await this.ended;
  }
}
