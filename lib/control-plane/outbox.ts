import type { ControlMessage } from '@dudousxd/nestjs-durable-core';

/** How many messages wait for those before them; a database that is away makes them old before it could send them. */
const LONGEST_QUEUE = 1_000;

/** Messages that gather while the ones before them are being sent, and then go together. */
export class Outbox {
  private waiting: ControlMessage[] = [];
  private sending: Promise<void> | undefined;
  private next: Promise<void> | undefined;

  constructor(private readonly send: (messages: readonly ControlMessage[]) => Promise<void>) {}

  /** Resolve when the message was sent, or left out because too many wait; reject when sending failed. */
  add(message: ControlMessage): Promise<void> {
    if (this.waiting.length >= LONGEST_QUEUE) this.waiting.shift();
    this.waiting.push(message);
    this.next ??= this.after(this.sending);
    return this.next;
  }

  private async after(before: Promise<void> | undefined): Promise<void> {
    // What is said in the same turn goes together too.
    await (before ? before.catch(() => undefined) : Promise.resolve());
    const messages = this.waiting;
    this.waiting = [];
    this.sending = this.next;
    this.next = undefined;
    await this.send(messages);
  }
}
