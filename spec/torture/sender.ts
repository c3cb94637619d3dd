import { eventNameOf, isEventToken, type SignalWaiter, type WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { describe } from './failure';
import type { Ledger } from './ledger';
import { approvalToken, type Message, parcelEvent } from './workflow';

/** Sends the signals and events that runs wait for, and again to those that still wait. */
export class Sender {
  private readonly sentAt = new Map<string, number>();
  private messages = 0;

  constructor(
    private readonly engine: WorkflowEngine,
    private readonly ledger: Ledger,
    private readonly againAfterMs: number,
  ) {}

  /** Before the run asks for it. */
  async approveEarly(run: string): Promise<void> {
    await this.send(run, approvalToken(run));
  }

  /** Before the run asks for it. */
  async deliverEarly(run: string): Promise<void> {
    await this.send(run, parcelEvent(run));
  }

  /** To whom of these it has not sent for a while. */
  async round(waiters: readonly SignalWaiter[]): Promise<void> {
    for (const { token, runId } of waiters) {
      const wait = isEventToken(token) ? eventNameOf(token) : token;
      if (wait !== approvalToken(runId) && wait !== parcelEvent(runId)) continue;
      const at = this.sentAt.get(wait);
      if (at === undefined || performance.now() - at > this.againAfterMs) await this.send(runId, wait);
    }
  }

  private async send(run: string, wait: string): Promise<void> {
    this.messages += 1;
    const payload: Message = { run, message: `${this.ledger.by}.m${this.messages}` };
    const again = this.sentAt.has(wait);
    this.sentAt.set(wait, performance.now());
    try {
      if (wait === parcelEvent(run)) await this.engine.publishEvent(wait, payload);
      else await this.engine.signal(wait, payload);
      this.ledger.write({ kind: 'sent', run, wait, message: payload.message, again });
    } catch (error) {
      this.ledger.write({ kind: 'not-sent', run, wait, failure: describe(error) });
    }
  }
}
