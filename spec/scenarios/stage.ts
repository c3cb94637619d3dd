import type { StateStore } from '@dudousxd/nestjs-durable-core';
import type { MikroORM, Options } from '@mikro-orm/core';
import { MikroOrmStateStore, sqliteConfig } from '../../lib';
import { type DatabaseKind, sql, TestDatabase } from '../support/databases';
import { book, booked, createBookings } from './bookings';
import type { Counts } from './ledger';

/** Where a scenario is played: the stores of its processes, and the business beside them. */
export interface Stage {
  /** Transactions that a process can have open at a time without waiting for each other. */
  readonly connections: number;
  /** The store object of a process. */
  store(process: number): StateStore;
  /** The same data for whoever looks on: on a database with connections of its own. */
  readonly observer: StateStore;
  /** Write down an effect in the transaction that a step was handed. */
  book(raw: unknown, effect: string): Promise<void>;
  /** How often each effect is written down. */
  booked(): Promise<Counts>;
  /** Delete the completed runs but the newest. */
  prune(process: number, maxCount: number): Promise<unknown>;
}

/** Something that has stages, one scenario after the other. */
export interface Theatre {
  /** Whether it is the engine's own store. */
  readonly reference: boolean;
  stage(): Promise<Stage>;
  close(): Promise<void>;
}

const PROCESSES = 2;
/** What MikroORM's drivers of servers do when nobody says anything. */
const DEFAULT_POOL = 10;

/** A database of a kind, with the ORMs of two processes and one of an observer. */
export class DatabaseTheatre implements Theatre {
  readonly reference = false;
  private constructor(
    private readonly db: TestDatabase,
    private readonly orms: readonly MikroORM[],
  ) {}

  static async open(kind: DatabaseKind): Promise<DatabaseTheatre> {
    const db = await TestDatabase.create(kind);
    const orms: MikroORM[] = [];
    for (let n = 0; n <= PROCESSES; n += 1) orms.push(await db.openReady(oneProcessConfigOf(kind)));
    await createBookings(orms[0] as MikroORM);
    return new DatabaseTheatre(db, orms);
  }

  async stage(): Promise<Stage> {
    const [orm] = this.orms as [MikroORM];
    await this.db.clear(orm);
    await sql(orm).execute('delete from scenario_bookings', [], 'run');
    return new DatabaseStage(this.orms, this.db.kind.family === 'sqlite' ? 1 : DEFAULT_POOL);
  }

  close(): Promise<void> {
    return this.db.drop();
  }
}

class DatabaseStage implements Stage {
  private readonly stores: readonly MikroOrmStateStore[];

  constructor(
    private readonly orms: readonly MikroORM[],
    readonly connections: number,
  ) {
    this.stores = orms.map((orm) => new MikroOrmStateStore(orm));
  }

  get observer(): StateStore {
    return this.stores[PROCESSES] as MikroOrmStateStore;
  }

  store(process: number): MikroOrmStateStore {
    return this.stores[process] as MikroOrmStateStore;
  }

  book(raw: unknown, effect: string): Promise<void> {
    return book(raw, effect);
  }

  booked(): Promise<Counts> {
    return booked(this.orms[PROCESSES] as MikroORM);
  }

  prune(process: number, maxCount: number): Promise<number> {
    return this.store(process).pruneTerminalRuns({ statuses: ['completed'], maxCount }, Date.now(), 1000);
  }
}

/** What the documentation has people configure: SQLite as a database for several processes. */
export function configOf({ family }: DatabaseKind): Options {
  return family === 'sqlite' ? sqliteConfig() : {};
}

/** The processes of a stage are one: a driver that waits for a lock on the main thread keeps the lock's holder from going on. */
function oneProcessConfigOf(kind: DatabaseKind): Options {
  return kind.driver === 'better-sqlite' ? sqliteConfig({ busyTimeoutMs: 5 }) : configOf(kind);
}
