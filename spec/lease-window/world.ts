import type { MikroORM, Options } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { connection, type DatabaseKind, TestDatabase } from '../support/databases';
import { GuardedStore, type Guards } from './guards';
import { FarServer, type Latency, slowDown } from './latency';
import { watchOverwrites } from './overwrites';

/** A database with two far-away ORMs for the engines, and one nearby that watches. */
export class World {
  readonly store: MikroOrmStateStore;

  private constructor(
    readonly kind: DatabaseKind,
    readonly orm: MikroORM,
    private readonly far: readonly MikroORM[],
    private readonly close: () => Promise<void>,
  ) {
    this.store = new MikroOrmStateStore(orm);
  }

  static async create(kind: DatabaseKind, latency: Latency): Promise<World> {
    const db = await TestDatabase.create(kind);
    const orm = await db.openReady();
    await watchOverwrites(kind, orm);
    const server = await farServer(kind, db, latency);
    const place: Options = server ? { host: '127.0.0.1', port: server.port } : {};
    const far = await Promise.all([db.open(place), db.open(place)]);
    if (!server) for (const each of far) slowDown(each, latency);
    return new World(kind, orm, far, async () => {
      await db.drop();
      await server?.stop();
    });
  }

  /** A store for each engine. */
  stores(guards: Guards): MikroOrmStateStore[] {
    return this.far.map((orm) => new GuardedStore(orm, guards));
  }

  drop(): Promise<void> {
    return this.close();
  }
}

async function farServer(kind: DatabaseKind, db: TestDatabase, latency: Latency): Promise<FarServer | undefined> {
  if (kind.family === 'sqlite') return undefined;
  const { host = '127.0.0.1', port = kind.family === 'postgresql' ? 5432 : 3306 } = connection(kind, db.dbName);
  return FarServer.start({ host, port }, latency);
}
