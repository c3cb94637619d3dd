import { setTimeout as delay } from 'node:timers/promises';
import type { Report } from './watch';
import { Worker, type WorkerSettings } from './workers';

export interface CrewOptions {
  url: string;
  /** Processes at a time. */
  workers: number;
  /** How many are killed along the way. */
  kills: number;
  /** Reports between two kills, on average. */
  reportsPerKill: number;
}

/** A worker that breaks down by itself is replaced too; beyond this there is no point. */
const MOST_BROKEN = 10;

const SETTINGS: Omit<WorkerSettings, 'name' | 'url'> = {
  // Long enough that a live worker on a busy machine never loses its runs.
  leaseMs: 8000,
  workMs: { reserve: [2, 20], charge: [4, 12], ship: [5, 40] },
};

/** A fixed number of worker processes, some of which are killed at random moments and replaced. */
export class Crew {
  hired = 0;
  killed = 0;
  broken = 0;
  /** Bodies of the charge step that began, committed or not. */
  chargesBegun = 0;
  private workers: Worker[] = [];
  private untilKill: number;
  private leaving = false;

  constructor(
    private readonly options: CrewOptions,
    private readonly print: (line: string) => void,
  ) {
    this.untilKill = this.drawInterval();
    for (let n = 0; n < options.workers; n += 1) this.hire();
  }

  get names(): string {
    return this.workers.map((worker) => worker.name).join(' ');
  }

  /** Replace workers that broke down. */
  round(): void {
    for (const worker of this.countBroken()) {
      if (this.broken > MOST_BROKEN) throw new Error('the workers keep breaking down');
      this.replace(worker);
    }
  }

  /** Send everybody home and wait until they are gone. */
  async dismiss(): Promise<void> {
    this.leaving = true;
    await Promise.all(this.workers.map((worker) => worker.dismiss()));
    this.countBroken();
  }

  private countBroken(): Worker[] {
    const broken = this.workers.filter(({ broke }) => broke);
    for (const worker of broken) this.print(`${worker.label} broke down`);
    this.broken += broken.length;
    return broken;
  }

  private hire(): void {
    this.hired += 1;
    this.workers.push(Worker.start({ ...SETTINGS, name: `w${this.hired}`, url: this.options.url }, this.receive));
  }

  private replace(worker: Worker): void {
    this.workers = this.workers.filter((other) => other !== worker);
    if (!this.leaving) this.hire();
  }

  private readonly receive = (report: Report, worker: Worker): void => {
    if (report.what === 'started' && report.step === 'charge') this.chargesBegun += 1;
    if (report.what === 'trouble' || report.what === 'failed') {
      this.print(`${worker.label}: ${report.what} ${report.orderId ?? ''} ${report.detail ?? ''}`);
    }
    this.untilKill -= 1;
    if (this.untilKill > 0 || this.killed >= this.options.kills || this.leaving) return;
    this.untilKill = this.drawInterval();
    void this.killSoon(worker);
  };

  /** Kills follow the workers' progress, so that they hit work on a fast machine and leave some done on a slow one. */
  private drawInterval(): number {
    return Math.ceil(this.options.reportsPerKill * (0.5 + Math.random()));
  }

  private async killSoon(worker: Worker): Promise<void> {
    // Anywhere: in a step, in its transaction, between two steps, while a signal is taken or a run settles.
    await delay(Math.random() * 40);
    if (this.leaving || !this.workers.includes(worker)) return;
    this.killed += 1;
    await worker.kill();
    this.replace(worker);
  }
}
