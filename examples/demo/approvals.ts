import type { FrontOffice } from './front-office';

const AGAIN_AFTER_MS = 3000;

/** Approves orders, and again those that still wait: a worker can die with an approval in its hands. */
export class Approvals {
  readonly given = { early: 0, late: 0, again: 0 };
  private readonly lastAt = new Map<string, number>();

  constructor(private readonly office: FrontOffice) {}

  /** Before the order asks for it. */
  async giveEarly(orderId: string): Promise<void> {
    if (!this.lastAt.has(orderId)) await this.give(orderId, 'early');
  }

  /** To every order that waits. */
  async round(): Promise<void> {
    for (const orderId of await this.office.waiting()) {
      const lastAt = this.lastAt.get(orderId);
      if (lastAt === undefined) await this.give(orderId, 'late');
      else if (Date.now() - lastAt > AGAIN_AFTER_MS) await this.give(orderId, 'again');
    }
  }

  private async give(orderId: string, when: 'early' | 'late' | 'again'): Promise<void> {
    this.lastAt.set(orderId, Date.now());
    this.given[when] += 1;
    await this.office.approve(orderId, 'Ada');
  }
}
