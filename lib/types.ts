/**
 * The contract's types, taken from the engine, and what later engine versions added to them.
 *
 * Glossary: a *run* is one execution of a *workflow*; a *step* is a unit of work inside it, and its *checkpoint* the
 * stored state of that step at position `seq`. The *lease* is the right to execute a run, held by an *owner* until
 * a time. A *signal* is a payload sent to a *token*; a *waiter* is the run and step that asked for it. An *event* is a
 * payload published under a name. A *namespace* is the worker pool a run belongs to.
 */
import type {
  AttributeFilter as EngineAttributeFilter,
  RunQuery as EngineRunQuery,
  WorkflowRun as EngineWorkflowRun,
  RunStatus,
} from '@dudousxd/nestjs-durable-core';

export type {
  PayloadCodec,
  RetentionPolicy,
  RunStatus,
  SearchAttributes,
  SignalWaiter,
  StateStore,
  StepCheckpoint,
  StepError,
  StepEvent,
  StepKind,
  StoreTransaction,
} from '@dudousxd/nestjs-durable-core';

/** A run. `origin`, the package that declared the workflow, came with engine 0.63. */
export type WorkflowRun = EngineWorkflowRun & { origin?: string | undefined };

/** A condition on a search attribute. `in` came after engine 0.67; its value is an array, and an empty one matches nothing. */
export type AttributeFilter =
  | EngineAttributeFilter
  | { key: string; op: 'in'; value: readonly (string | number | boolean)[] };

/** What {@link listRuns} filters by; everything given must hold. Empty lists match nothing. */
export type RunQuery = Omit<EngineRunQuery, 'attributes'> & {
  attributes?: readonly AttributeFilter[] | undefined;
  /** Exact, and never a run without one; `null`: only runs without one. */
  origin?: string | null | undefined;
  workflows?: readonly string[] | undefined;
  namespaces?: readonly string[] | undefined;
  /** May contain `null` for runs without an origin. */
  origins?: readonly (string | null)[] | undefined;
  tags?: readonly string[] | undefined;
};

/** How many runs of a query have this status and origin. */
export interface RunFacet {
  status: RunStatus;
  /** `null` for runs without an origin, or a blank one. */
  origin: string | null;
  count: number;
}

/** The part of a query that facets are counted over. */
export type RunFacetQuery = Omit<RunQuery, 'status' | 'statuses' | 'origin' | 'origins' | 'limit' | 'offset'>;

/** A published event that nobody has waited for yet. */
export interface BufferedEvent {
  id: string;
  payload: unknown;
  /** Epoch milliseconds. */
  publishedAt: number;
}

export const TERMINAL_STATUSES: readonly RunStatus[] = ['completed', 'failed', 'cancelled', 'dead'];

/** Ended for good. A `failed` run is not: it may be resumed, and then it is locked first. */
export const UNLOCKABLE_STATUSES: readonly RunStatus[] = ['completed', 'cancelled', 'dead'];

/** Being executed, or about to be: what the engine lists to pick up or recover. */
export const ACTIVE_STATUSES: readonly RunStatus[] = ['pending', 'running', 'cancelling'];
