import type { Call, FailedCall } from './race';

/** What a process is started with. */
export interface RacerSettings {
  /** The kind of database, by name. */
  readonly kind: string;
  readonly dbName: string;
  /** Use a store with known defects, to see that they are noticed. */
  readonly defective: boolean;
}

/** To a process: get ready for these calls of a round. */
export interface Prepare {
  readonly what: 'prepare';
  readonly race: string;
  readonly plan: unknown;
  /** The numbers of this process's calls. */
  readonly calls: readonly number[];
}

/** To a process that is ready: make the calls at this instant of the shared clock. */
export interface Go {
  readonly what: 'go';
  readonly at: number;
}

/** To a process: finish and leave. */
export interface Leave {
  readonly what: 'leave';
}

export type Order = Prepare | Go | Leave;

/** From a process. */
export type Report =
  | { readonly what: 'ready' }
  | { readonly what: 'done'; readonly answered: readonly Call[]; readonly failed: readonly FailedCall[] }
  | { readonly what: 'trouble'; readonly error: string };
