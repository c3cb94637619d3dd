import { setTimeout as delay } from 'node:timers/promises';
import { InMemoryStateStore, type RunQuery, type StateStore } from '@dudousxd/nestjs-durable-core';
import { type Counts, countsOf } from './ledger';
import type { Stage, Theatre } from './stage';

/** The engine's own store. All processes are one. */
export const memoryTheatre: Theatre = {
  reference: true,
  stage: async () => new MemoryStage(),
  close: async () => undefined,
};

/** The longest way to the engine's own store and back, where it is not at hand. */
const FAR_MS = 3;

/**
 * The engine's own store a few milliseconds away, as a database is. A local step that begins twice here begins twice because
 * of the engine: it starts overlapping turns of one run, and each has read the checkpoints before the other wrote one.
 */
export const farMemoryTheatre: Theatre = {
  reference: true,
  stage: async () => new MemoryStage(far),
  close: async () => undefined,
};

function far(store: StateStore): StateStore {
  return new Proxy(store, {
    get(target, property) {
      const member = Reflect.get(target, property);
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]) => {
        const thereMs = Math.random() * FAR_MS;
        await delay(thereMs);
        const answer = await member.apply(target, args);
        await delay(FAR_MS - thereMs);
        return answer;
      };
    },
  });
}

class MemoryStage implements Stage {
  readonly connections = 10;
  readonly observer = new InMemoryStateStore();
  private readonly used: StateStore;

  private readonly bookings: string[] = [];

  constructor(reach: (store: StateStore) => StateStore = (store) => store) {
    this.used = reach(this.observer);
  }

  store(): StateStore {
    return this.used;
  }

  async book(_raw: unknown, effect: string): Promise<void> {
    this.bookings.push(effect);
  }

  async booked(): Promise<Counts> {
    return countsOf(this.bookings);
  }

  /** The engine's own store has no pruning; these are its words for it. */
  async prune(_process: number, maxCount: number): Promise<void> {
    const query: RunQuery = { status: 'completed', offset: maxCount };
    for (const { id } of await this.observer.listRuns(query)) await this.observer.deleteRun(id);
  }
}
