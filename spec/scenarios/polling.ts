import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';

const POLL_MS = 20;

/** An engine and the loop of its application. */
export class Polling {
  polls = 0;
  on = false;
  private loop: Promise<void> = Promise.resolve();

  constructor(
    readonly engine: WorkflowEngine,
    private readonly fail: (error: unknown) => void,
  ) {}

  start(): void {
    this.on = true;
    this.loop = this.poll();
  }

  /** Resolves after the last poll. */
  async stop(): Promise<void> {
    this.on = false;
    await this.loop;
  }

  /** Poll on for a while. */
  async run(polls: number): Promise<void> {
    const until = this.polls + polls;
    while (this.on && this.polls < until) await delay(POLL_MS);
  }

  async end(): Promise<void> {
    await this.stop();
    await this.engine.drain();
  }

  private async poll(): Promise<void> {
    const { engine } = this;
    while (this.on) {
      await engine.runPending().catch(this.fail);
      await engine.recoverIncomplete().catch(this.fail);
      await engine.resumeDueTimers().catch(this.fail);
      await engine.sweepTimeouts().catch(this.fail);
      this.polls += 1;
      await delay(POLL_MS);
    }
  }
}
