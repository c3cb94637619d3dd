import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { type Place, query } from '../databases';
import { POOL_SIZE } from '../subjects';
import { PEERS } from '../subjects/upstream';

export type Environment = Readonly<Record<string, string>>;

/** What figures depend on: machine, versions and settings. */
export async function environment(place: Place): Promise<Environment> {
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
    node: process.version,
    ...versions(place),
    ...(await settings(place)),
  };
}

function versions({ database }: Place): Environment {
  const drivers = { sqlite: 'better-sqlite3', postgresql: 'pg', mariadb: 'mariadb', mysql: 'mysql2' } as const;
  const bare = { ...drivers, mysql: 'mariadb' } as const;
  const peerDrivers = { sqlite: 'better-sqlite3', postgresql: 'pg', mariadb: 'mysql2', mysql: 'mysql2' } as const;
  return {
    'this library on': `MikroORM ${version('@mikro-orm/core')}, ${drivers[database]} ${version(drivers[database])}`,
    'bare driver': `${bare[database]} ${version(bare[database])}`,
    'existing adapter':
      `nestjs-durable-store-mikro-orm ${version('@dudousxd/nestjs-durable-store-mikro-orm', PEERS)} ` +
      `on MikroORM ${version('@mikro-orm/core', PEERS)}, ${peerDrivers[database]} ${version(peerDrivers[database], PEERS)}`,
    engine: `nestjs-durable-core ${version('@dudousxd/nestjs-durable-core')}`,
  };
}

async function settings({ database, admin }: Place): Promise<Environment> {
  if (!admin) {
    return { sqlite: 'journal_mode=wal, synchronous=full, busy_timeout=5000, one connection for each subject' };
  }
  const target = { database, name: admin.database, login: admin };
  const pool = { pool: `${POOL_SIZE} connections for each subject` };
  if (database === 'postgresql') {
    const names = ['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers'];
    const rows = await query(
      target,
      `select name, setting, unit from pg_settings where name in (${names.map((name) => `'${name}'`).join(', ')})`,
    );
    return {
      postgresql: rows.map((row) => `${row.name}=${row.setting}${row.unit ? `×${row.unit}` : ''}`).join(', '),
      ...pool,
    };
  }
  const [row] = await query(
    target,
    'select version() as version, @@innodb_flush_log_at_trx_commit as innodb_flush_log_at_trx_commit, ' +
      '@@log_bin as log_bin, @@sync_binlog as sync_binlog, @@innodb_buffer_pool_size as innodb_buffer_pool_size',
  );
  return {
    [database]: Object.entries(row ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join(', '),
    ...pool,
  };
}

function version(name: string, from = process.cwd()): string {
  for (const directory of createRequire(join(from, 'package.json')).resolve.paths(name) ?? []) {
    try {
      return JSON.parse(readFileSync(join(directory, name, 'package.json'), 'utf8')).version;
    } catch {
      // Not in this folder; the next one up.
    }
  }
  return '(not installed)';
}
