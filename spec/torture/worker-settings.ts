import type { Target } from './database';
import type { Sabotage } from './options';

/** What a worker process is started with, as JSON in its environment. */
export interface WorkerSettings {
  readonly name: string;
  readonly target: Target;
  /** Directory of the ledgers. */
  readonly ledgers: string;
  readonly leaseMs: number;
  readonly reconcileMs: number;
  readonly seed: number;
  readonly sabotage: Sabotage | undefined;
}

/** What the controller asks of a worker: to start the run of this number. */
export interface Order {
  readonly start: number;
}

/** What a worker says: that it has booted, or that it has broken a promise on purpose. */
export type Word = 'ready' | 'sabotaged';

/** How a worker ends that nobody's handler saved. */
export const UNHANDLED_EXIT = 70;
