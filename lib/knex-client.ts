import type { EntityManager } from '@mikro-orm/core';
import { ACQUIRING } from './failure-codes';
import { isOfWrongServer } from './failures';

/** What is touched of a connection of MikroORM 6; that of 7 has no knex and is left alone. */
interface KnexConnection {
  /** Absent until the ORM has connected. */
  readonly client?: { readonly client?: KnexClient };
  getKnex?(): unknown;
  ensureConnection(): Promise<void>;
}

/** knex's client: every statement runs on a connection that it acquired. */
interface KnexClient {
  acquireConnection(): Promise<PooledConnection>;
  releaseConnection(connection: PooledConnection): Promise<void>;
  readonly pool?: { readonly destroyed?: boolean };
  on(event: 'query-error', listener: (error: unknown, query: { __knexUid?: string }) => void): void;
}

interface PooledConnection {
  __knexUid?: string;
  /** Why it is not to be used again, when it is not; the pool then opens another, and knex prints this. */
  __knex__disposed?: unknown;
}

const attended = new WeakSet<object>();
const guarded = new WeakSet<object>();

/**
 * Teach the host's knex client three things, once per client: to tell that an error came before any statement was sent; to
 * leave connections to a server that takes no writes any more; and to print no values of statements.
 */
export async function attendClient(em: EntityManager): Promise<void> {
  const connection = em.getConnection('write') as unknown as KnexConnection;
  if (typeof connection.getKnex !== 'function') return;
  if (!connection.client) await connection.ensureConnection();
  const client = connection.client?.client;
  if (!client || attended.has(client)) return;
  attended.add(client);
  attend(client);
}

function attend(client: KnexClient): void {
  const acquire = client.acquireConnection.bind(client);
  const astray = new Set<string | undefined>();
  client.on('query-error', (error, { __knexUid }) => {
    if (isOfWrongServer(error)) astray.add(__knexUid);
  });
  client.acquireConnection = async () => {
    try {
      for (;;) {
        // A pool that is being closed lets whoever asks now wait for its time limit.
        if (client.pool?.destroyed) throw new Error('Unable to acquire a connection');
        const connection = guard(await acquire());
        if (!astray.delete(connection.__knexUid)) return connection;
        connection.__knex__disposed = 'its server takes no writes any more';
        await client.releaseConnection(connection);
      }
    } catch (error) {
      throw Object.assign(error as Error, { phase: ACQUIRING });
    }
  };
}

/**
 * knex remembers what killed a connection, and prints it before it opens another. By then it has put the statement that the
 * connection was busy with into the message, with all its values, and `mariadb` has put it there itself.
 */
function guard(connection: PooledConnection): PooledConnection {
  if (guarded.has(connection)) return connection;
  guarded.add(connection);
  let disposed = connection.__knex__disposed;
  Object.defineProperty(connection, '__knex__disposed', {
    get: () => disposed,
    set: (reason: unknown) => {
      disposed = reason instanceof Error ? `${reason.name}: ${driversWords(reason)}` : reason;
    },
    configurable: true,
    enumerable: true,
  });
  return connection;
}

/** What the driver said, or, where a statement may be before its words, the code alone. */
function driversWords(error: Error & { sqlMessage?: unknown; syscall?: unknown; code?: unknown }): string {
  if (typeof error.sqlMessage === 'string') return error.sqlMessage;
  const unmixed = !error.message.includes(' - ');
  return unmixed ? error.message : [error.syscall, error.code].filter(Boolean).join(' ');
}
