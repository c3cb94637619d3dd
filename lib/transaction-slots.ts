import type { EntityManager } from '@mikro-orm/core';
import { DurableDatabaseError } from './errors';
import { LONGEST_TIMER_MS } from './timer';

/** Connections of a pool whose size the host leaves to MikroORM's drivers. */
const DEFAULT_POOL = 10;

interface Waiting {
  readonly begin: () => void;
}

/**
 * How many transactions the stores of one ORM have open at a time: one less than its pool has connections, and at least one, so
 * that a connection is left for the renewal of leases while steps of the host's hold the others. The rest wait in order.
 */
export class TransactionSlots {
  private static readonly byDriver = new WeakMap<object, TransactionSlots>();
  private readonly queue = new Set<Waiting>();
  private taken = 0;

  constructor(private readonly places: number) {}

  /** The places of the pool that an EntityManager takes its connections from. */
  static of(em: EntityManager): TransactionSlots {
    const driver = em.getDriver();
    const known = TransactionSlots.byDriver.get(driver);
    if (known) return known;
    const slots = new TransactionSlots(Math.max(1, (em.config.get('pool')?.max ?? DEFAULT_POOL) - 1));
    TransactionSlots.byDriver.set(driver, slots);
    return slots;
  }

  /**
   * Do `work` when it has a place.
   *
   * @throws DurableDatabaseError (`transient`) when it has none after `boundMs`; then `work` has not begun
   */
  async run<T>(label: string, boundMs: number, work: () => Promise<T>): Promise<T> {
    if (this.taken < this.places) this.taken += 1;
    else await this.place(label, boundMs);
    try {
      return await work();
    } finally {
      this.free();
    }
  }

  private place(label: string, boundMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.queue.delete(waiting);
        const cause = new Error(
          `${this.places} transactions have been open for ${boundMs} ms, as many as the pool can spare`,
        );
        reject(new DurableDatabaseError(label, 1, true, false, cause));
      };
      const timer = boundMs > LONGEST_TIMER_MS ? undefined : setTimeout(giveUp, boundMs);
      const waiting: Waiting = {
        begin: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      this.queue.add(waiting);
    });
  }

  /** Hand the place to whoever waits longest. */
  private free(): void {
    const [next] = this.queue;
    if (next === undefined) this.taken -= 1;
    else {
      this.queue.delete(next);
      next.begin();
    }
  }
}
