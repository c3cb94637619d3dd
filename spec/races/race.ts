import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import type { MikroOrmStateStore } from '../../lib';
import type { TestDatabase } from '../support/databases';
import type { Span } from './order';

/** One of a round's calls that was answered. */
export interface Call<Answer = unknown> extends Span {
  /** Its number within the round, from 0. */
  readonly n: number;
  readonly answer: Answer;
}

/** One of a round's calls that threw. */
export interface FailedCall extends Span {
  readonly n: number;
  readonly error: string;
}

/** A process that takes part, as the code of a race sees it. */
export interface Contender {
  /** The store for call `n`; every other one of a process lets its calls share statements. */
  store(n: number): MikroOrmStateStore;
  /** An engine on a store of this process; see {@link waitingEngine}. */
  engine(): WorkflowEngine;
  /** An ORM on another database of the same server, the same for all calls of a round. */
  visit(dbName: string): Promise<MikroORM>;
}

/** Where a race is prepared and judged: in the process that started the others. */
export interface Arena {
  readonly db: TestDatabase;
  readonly orm: MikroORM;
  readonly store: MikroOrmStateStore;
  /** An empty database, removed after the race. */
  emptyDatabase(): Promise<TestDatabase>;
  /** Count something worth telling that is no violation. */
  note(what: string, count: number): void;
}

/**
 * Calls that compete. A round is prepared once, its calls are made by several processes at once, and its judge says from
 * the answers and from what the database holds afterwards what is wrong. Plan and answers travel between processes.
 *
 * A call that throws is a violation by itself; a race that expects an error catches it in `call` and makes it an answer.
 */
export interface Race<Plan = unknown, Answer = unknown> {
  readonly name: string;
  prepare(arena: Arena, round: { readonly calls: number }): Promise<Plan>;
  /** In each process before all start. */
  arrive?(contender: Contender, plan: Plan): Promise<unknown>;
  call(contender: Contender, plan: Plan, n: number): Promise<Answer>;
  /** The round's violations. */
  judge(arena: Arena, plan: Plan, calls: readonly Call<Answer>[]): Promise<string[]>;
}
