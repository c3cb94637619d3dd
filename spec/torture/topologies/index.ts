import type { DatabaseName } from '../options';
import type { TortureServer } from '../server';
import { GALERA, GALERA_WRITERS } from './galera';
import { GROUP_REPLICATION, GROUP_REPLICATION_WRITERS } from './group-replication';
import { PGBOUNCER } from './pgbouncer';
import { STANDBY } from './standby';

/** What stands between the workers and their data, or in its place. */
export interface Topology {
  readonly db: DatabaseName;
  /** For the report. */
  readonly words: string;
  /** Start it below `directory`. `restart` is its fail-over, and `port` always where clients are to go now. */
  start(directory: string): Promise<TortureServer>;
}

export const TOPOLOGIES: Readonly<Record<string, Topology>> = {
  pgbouncer: PGBOUNCER,
  standby: STANDBY,
  galera: GALERA,
  'galera-writers': GALERA_WRITERS,
  'group-replication': GROUP_REPLICATION,
  'group-replication-writers': GROUP_REPLICATION_WRITERS,
};
