import type { Options } from '@mikro-orm/core';
import { checkOptions, type OptionRules } from '../schemas/check-options';

/** What {@link sqliteConfig} lets a host choose. */
export interface SqliteConfigOptions {
  /**
   * `'full'` (default): a call that resolved survives a power cut. `'normal'`: it survives a killed process, but a power cut
   * may take back the last commits.
   */
  synchronous?: 'full' | 'normal';
  /**
   * How long a connection waits for another process's write before the store's own retries take over, in milliseconds;
   * default 1,000. `better-sqlite3` waits on the main thread and holds up everything, lease renewals too: stay well below the lease.
   */
  busyTimeoutMs?: number;
}

/** A connection of `better-sqlite3`, or of `sqlite3`. */
interface RawConnection {
  pragma?(text: string): unknown;
  exec(sql: string, done?: (error: Error | null) => void): unknown;
}

/** A connection of kysely, under MikroORM 7. */
interface KyselyConnection {
  executeQuery(query: { sql: string; parameters: readonly unknown[] }): Promise<unknown>;
}

/** SQLite keeps the time-out as a 32-bit integer, and takes a larger one for none. */
const LONGEST_BUSY_MS = 2 ** 31 - 1;

type Done = (error: Error | null, connection: RawConnection) => void;

/**
 * A piece of MikroORM config that makes SQLite an embedded database for several processes: write-ahead log (readers do not
 * wait for the writer, a commit syncs once), the chosen `synchronous`, and a busy timeout. Spread it into the options of
 * `@mikro-orm/better-sqlite` or `@mikro-orm/sqlite`; it sets `pool.afterCreate` (MikroORM 6) and `onCreateConnection` (7).
 * The journal mode stays with the file.
 *
 * @throws TypeError for an option of another name or kind
 */
export function sqliteConfig(options: SqliteConfigOptions = {}): Options {
  const pragmas = pragmasOf(options);
  const config = {
    pool: {
      afterCreate: (connection: RawConnection, done: Done): void => {
        if (connection.pragma) {
          for (const pragma of pragmas) connection.pragma(pragma);
          done(null, connection);
        } else connection.exec(pragmas.map((text) => `pragma ${text};`).join(' '), (error) => done(error, connection));
      },
    },
    onCreateConnection: async (connection: KyselyConnection): Promise<void> => {
      for (const pragma of pragmas) await connection.executeQuery({ sql: `pragma ${pragma}`, parameters: [] });
    },
  };
  return config as Options;
}

const OPTIONS: OptionRules = {
  synchronous: { takes: "'full' or 'normal'", accepts: (value) => value === 'full' || value === 'normal' },
  busyTimeoutMs: {
    takes: `a whole number of milliseconds from 0 to ${LONGEST_BUSY_MS}`,
    accepts: (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LONGEST_BUSY_MS,
  },
};

function pragmasOf(options: SqliteConfigOptions): string[] {
  checkOptions('sqliteConfig', options, OPTIONS);
  const { synchronous = 'full', busyTimeoutMs = 1000 } = options;
  // The timeout first: changing the journal mode needs a lock as well.
  return [`busy_timeout = ${busyTimeoutMs}`, 'journal_mode = wal', `synchronous = ${synchronous}`];
}
