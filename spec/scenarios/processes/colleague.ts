import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Order, Report, WorkerSettings } from './message';

const ROOT = join(__dirname, '../../..');

/** A worker process as its parent sees it. */
export class Colleague {
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;

  constructor(settings: WorkerSettings) {
    this.child = fork(join(__dirname, 'worker.ts'), [], {
      cwd: ROOT,
      env: { ...process.env, SCENARIO_WORKER: JSON.stringify(settings) },
      execArgv: ['--import', 'tsx'],
    });
    this.ended = once(this.child, 'exit');
  }

  /** Wait until it has booted. */
  async ready(): Promise<void> {
    await this.next('ready');
  }

  order(order: Order): void {
    this.child.send(order);
  }

  /** Send it home, and hear what it did. */
  async leave(): Promise<Extract<Report, { what: 'done' }>> {
    const done = this.next('done');
    this.order({ what: 'leave' });
    const report = await done;
    await this.ended;
    return report;
  }

  /** End it whatever it does. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.ended;
  }

  private async next<What extends Report['what']>(what: What): Promise<Extract<Report, { what: What }>> {
    const heard = once(this.child, 'message').then(([report]) => report as Report);
    const report = await Promise.race([heard, this.ended.then(() => undefined)]);
    if (report?.what === what) return report as Extract<Report, { what: What }>;
    throw new Error(`a worker said ${JSON.stringify(report) ?? 'nothing and ended'} instead of ${what}`);
  }
}
