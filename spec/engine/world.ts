import { type RunResult, WorkflowEngine, type WorkflowEngineDeps } from '@dudousxd/nestjs-durable-core';
import type { MikroORM, Options } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { CallsUnderWay } from '../support/calls';
import { type DatabaseKind, TestDatabase } from '../support/databases';

/** A run that has not ended by then never will, however busy the machine is. */
const NEVER_MS = 120_000;

/** Time as the engines of a test see it. */
export class Clock {
  nowMs = Date.parse('2026-03-01T10:00:00.000Z');
  readonly read = (): number => this.nowMs;

  advance(ms: number): void {
    this.nowMs += ms;
  }
}

/** One database with the processes of an application on it: each has an ORM, a store and an engine of its own. */
export class World {
  readonly clock = new Clock();
  private readonly calls = new CallsUnderWay();
  private readonly processes: { orm: MikroORM; store: MikroOrmStateStore }[] = [];

  private constructor(private readonly db: TestDatabase) {}

  static async open(kind: DatabaseKind, options: Options = {}): Promise<World> {
    const world = new World(await TestDatabase.create(kind));
    for (let process = 0; process < 2; process += 1) {
      const orm = await world.db.openReady(options);
      world.processes.push({ orm, store: new MikroOrmStateStore(orm) });
    }
    return world;
  }

  get orm(): MikroORM {
    return this.at(0).orm;
  }

  get store(): MikroOrmStateStore {
    return this.at(0).store;
  }

  /** The store of another process. */
  get peerStore(): MikroOrmStateStore {
    return this.at(1).store;
  }

  /** An engine of the first process. */
  engine(options: Partial<WorkflowEngineDeps> = {}): WorkflowEngine {
    return this.start(0, options);
  }

  /** An engine of another process: another ORM with connections of its own. */
  peer(options: Partial<WorkflowEngineDeps> = {}): WorkflowEngine {
    return this.start(1, options);
  }

  /** Wait until a run has ended or sleeps, and its engine is done with it. */
  async settled(engine: WorkflowEngine, runId: string): Promise<RunResult> {
    const result = await engine.waitForRun(runId, { timeoutMs: NEVER_MS });
    await this.quiet();
    return result;
  }

  /** Wait until no engine has a store call on its way; what follows a run's end runs on after it. */
  quiet(): Promise<void> {
    return this.calls.quiet();
  }

  async reset(): Promise<void> {
    await this.quiet();
    await this.db.clear(this.orm);
  }

  async close(): Promise<void> {
    await this.quiet();
    await this.db.drop();
  }

  private start(process: number, options: Partial<WorkflowEngineDeps>): WorkflowEngine {
    return new WorkflowEngine({
      clock: this.clock.read,
      ...options,
      store: this.calls.observed(options.store ?? this.at(process).store),
    });
  }

  private at(process: number) {
    return this.processes[process] as (typeof this.processes)[number];
  }
}

/** Wait for a run's end. */
export function ended(engine: WorkflowEngine, runId: string): Promise<RunResult> {
  return engine.waitForRun(runId, { until: 'terminal', timeoutMs: NEVER_MS });
}
