import type { WorkflowEngine, WorkflowEngineDeps } from '@dudousxd/nestjs-durable-core';
import type { Ends, Expected } from './ends';
import type { World } from './world';

/** An engine of a scenario. */
export interface EngineSetting {
  /** Its `instanceId`. */
  readonly name: string;
  /** The process it runs in: engines of one process share a store object, and processes share only the database. Default 0. */
  readonly process?: number;
  /** Whether it polls from the beginning. Default: yes. */
  readonly polls?: boolean;
  /** What differs from the engine's defaults. */
  readonly options?: (world: World) => Partial<WorkflowEngineDeps>;
}

/** An application: workflows that a person would write, what happens to them, and how they have to end on every store. */
export interface Scenario {
  /** A sentence about the workflows. */
  readonly name: string;
  /** Default: one engine named `a`, with the engine's defaults. */
  readonly engines?: readonly EngineSetting[];
  /** Register the workflows at an engine; called once for each, with its name. */
  register(engine: WorkflowEngine, world: World, name: string): void;
  /** Start the runs, do to them what happens to them, and wait until all of it has come to rest. */
  drive(world: World): Promise<void>;
  /** How every run has to end, and what has to have happened how often. */
  expected?(): Expected;
  /** What is wrong with ends that have more than one right form. */
  judge?(ends: Ends, world: World): string[];
  /**
   * Local steps that the engine begins twice on its own store as well, because two turns of one run overlap in one process,
   * with the circumstance. What they do may happen more often than expected; nothing else may.
   */
  readonly repeats?: Readonly<Record<string, string>>;
  /** The same of steps that are repeated on the engine's own store alone: a database must not. */
  readonly referenceRepeats?: Readonly<Record<string, string>>;
  /** Beginnings of the tokens of waiters that the engine leaves behind on its own store as well. */
  readonly leaves?: readonly string[];
}
