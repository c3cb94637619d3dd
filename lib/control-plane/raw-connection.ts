import type { EntityManager } from '@mikro-orm/core';

/** A connection of `pg` outside the pool. */
export interface RawConnection {
  on(event: 'notification', listener: (notification: { payload?: string }) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  on(event: 'end', listener: () => void): void;
  query(text: string): Promise<unknown>;
  unref?(): void;
  end(): Promise<void>;
}

interface Connection {
  getKnex?(): Knex;
  ensureConnection(): Promise<void>;
}

interface Knex {
  readonly client: {
    acquireRawConnection(): Promise<RawConnection>;
    /** Absent once the host has closed the ORM. */
    readonly pool?: { readonly destroyed?: boolean };
  };
}

/** Whether the ORM can open a connection outside its pool: MikroORM 6 can, through knex. */
export function opensRawConnections(em: EntityManager): boolean {
  return typeof connectionOf(em).getKnex === 'function';
}

/** Open a connection that belongs to no pool, with the settings of the host's. It keeps no process alive. */
export async function openRawConnection(em: EntityManager): Promise<RawConnection> {
  await connectionOf(em).ensureConnection();
  const knex = connectionOf(em).getKnex?.();
  if (!knex) throw new TypeError('this ORM opens no connection outside its pool');
  const raw = await knex.client.acquireRawConnection();
  raw.unref?.();
  return raw;
}

/** Whether the host has closed the ORM, whose pool would have to close this connection too. */
export function isOrmClosed(em: EntityManager): boolean {
  const pool = connectionOf(em).getKnex?.().client.pool;
  return !pool || pool.destroyed === true;
}

function connectionOf(em: EntityManager): Connection {
  return em.getConnection('write') as unknown as Connection;
}
