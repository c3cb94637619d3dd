import type { Counts } from '../ledger';

/** What a worker process is started with, as JSON in the environment. */
export interface WorkerSettings {
  readonly name: string;
  /** The name of the kind of database. */
  readonly kind: string;
  readonly dbName: string;
  readonly reconcileMs: number;
}

/** What a worker is told: to start parents, or to go home. */
export type Order =
  | { readonly what: 'start'; readonly parents: readonly string[]; readonly children: number }
  | { readonly what: 'leave' };

/** What a worker says: that it has booted, and in the end what its steps did and what went wrong. */
export type Report =
  | { readonly what: 'ready' }
  | { readonly what: 'done'; readonly did: Counts; readonly troubles: readonly string[] };
