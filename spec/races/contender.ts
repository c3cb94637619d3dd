import type { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { MikroORM } from '@mikro-orm/core';
import { ENTITIES, MikroOrmStateStore } from '../../lib';
import { connect, connection, type DatabaseKind, KINDS } from '../support/databases';
import { DefectiveStore } from './defective-store';
import { raceNamed } from './list';
import type { Prepare, RacerSettings } from './message';
import type { Contender, Race } from './race';
import { waitingEngine } from './waiting';

/** Connections of one process; all processes together stay below what servers admit by default. */
const POOL = { min: 0, max: 5 };

/** A process that takes part in races, with an ORM of its own. */
export class RacingProcess implements Contender {
  calls: readonly number[] = [];
  private race: Race | undefined;
  private plan: unknown;
  private running: WorkflowEngine | undefined;
  private visited: { readonly dbName: string; readonly orm: Promise<MikroORM> } | undefined;
  private readonly stores: readonly MikroOrmStateStore[];

  private constructor(
    private readonly kind: DatabaseKind,
    private readonly orm: MikroORM,
    defective: boolean,
  ) {
    const Store = defective ? DefectiveStore : MikroOrmStateStore;
    this.stores = [new Store(orm), new Store(orm, { groupCommit: false })];
  }

  static async start({ kind: name, dbName, defective }: RacerSettings): Promise<RacingProcess> {
    const kind = KINDS.find((each) => each.name === name);
    if (!kind) throw new Error(`no kind of database is called ${name}`);
    return new RacingProcess(kind, await open(kind, dbName), defective);
  }

  async prepare({ race, plan, calls }: Prepare): Promise<void> {
    this.race = raceNamed(race);
    this.plan = plan;
    this.calls = calls;
    await this.race.arrive?.(this, plan);
  }

  async call(n: number): Promise<unknown> {
    return this.race?.call(this, this.plan, n);
  }

  store(n: number): MikroOrmStateStore {
    return this.stores[this.calls.indexOf(n) % this.stores.length] as MikroOrmStateStore;
  }

  engine(): WorkflowEngine {
    this.running ??= waitingEngine(this.stores[0] as MikroOrmStateStore);
    return this.running;
  }

  visit(dbName: string): Promise<MikroORM> {
    if (this.visited?.dbName !== dbName) this.visited = { dbName, orm: open(this.kind, dbName) };
    return this.visited.orm;
  }

  async stop(): Promise<void> {
    await this.running?.drain(10_000);
    await Promise.all(this.stores.map((store) => store.settled()));
    await this.goHome();
    await this.orm.close(true);
  }

  /** Leave the database that was visited, so that it can be removed. */
  async goHome(): Promise<void> {
    await (await this.visited?.orm)?.close(true);
    this.visited = undefined;
  }
}

function open(kind: DatabaseKind, dbName: string): Promise<MikroORM> {
  const pool = kind.family === 'sqlite' ? {} : { pool: POOL };
  return connect(kind.driver, { ...connection(kind, dbName), ...pool, entities: [...ENTITIES] });
}
