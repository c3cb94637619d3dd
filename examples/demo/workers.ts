import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Report } from './watch';

/** What a worker process is started with. */
export interface WorkerSettings {
  name: string;
  url: string;
  /** How long a dead worker's runs stay its own. */
  leaseMs: number;
  /** How long the outside world takes, least and most. */
  workMs: Record<'reserve' | 'charge' | 'ship', readonly [number, number]>;
}

/** Longer than leaving takes on any machine: who is not gone by then hangs. */
const LEAVE_WITHIN_MS = 60_000;

/** A worker process as its parent sees it. */
export class Worker {
  /** Resolves when the process is gone, for whatever reason. */
  readonly ended: Promise<unknown>;
  private ready = false;
  private killed = false;

  private constructor(
    readonly name: string,
    private readonly process: ChildProcess,
  ) {
    this.ended = once(process, 'exit');
  }

  static start(settings: WorkerSettings, onReport: (report: Report, worker: Worker) => void): Worker {
    // In the environment rather than on the command line: the URL may hold a password.
    const env = { ...process.env, DEMO_WORKER: JSON.stringify(settings) };
    const child = fork(join(__dirname, 'worker.ts'), { env });
    const worker = new Worker(settings.name, child);
    child.on('message', (report: Report) => {
      if (report.what === 'ready') worker.ready = true;
      onReport(report, worker);
    });
    return worker;
  }

  get label(): string {
    return `${this.name} (pid ${this.process.pid})`;
  }

  /** Whether it ended with an error of its own. */
  get broke(): boolean {
    const { exitCode, signalCode } = this.process;
    return !this.killed && (exitCode !== null || signalCode !== null) && exitCode !== 0;
  }

  /** Take the process away in the middle of whatever it does: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    this.killed = true;
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** Let it finish what it has in hand; one that cannot is broken. One that still boots has nothing, and does not listen. */
  async dismiss(): Promise<void> {
    if (!this.ready && !this.broke) return this.kill();
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), LEAVE_WITHIN_MS);
    await this.ended;
    clearTimeout(timer);
  }
}
