import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { StateStore } from '@dudousxd/nestjs-durable-core';
import type { BenchDatabase } from '../databases';
import { POOL_SIZE, type Subject } from './subject';

/** Beside the sources, not beside what was compiled from them. */
export const PEERS = join(process.cwd(), 'bench', 'peers');

interface Peer {
  open(
    driver: string,
    options: object,
  ): Promise<{
    orm: { close(force: boolean): Promise<void>; em: { getConnection(): { execute(sql: string): Promise<unknown> } } };
    store: StateStore;
  }>;
}

/** Whether the packages to compare with are installed. */
export function upstreamInstalled(): boolean {
  return existsSync(join(PEERS, 'node_modules', '@mikro-orm', 'core'));
}

export const INSTALL_UPSTREAM = 'npm ci --prefix bench/peers';

/** The existing adapter on MikroORM 7, on tables it made itself. */
export async function openUpstream({ database, name, login, poolSize = POOL_SIZE }: BenchDatabase): Promise<Subject> {
  const { open } = (await import(pathToFileURL(join(PEERS, 'open.mjs')).href)) as Peer;
  const { orm, store } = await open(database, {
    dbName: name,
    ...Object.fromEntries(Object.entries(login ?? {}).filter(([, value]) => value !== undefined)),
    ...(login ? { pool: { min: 0, max: poolSize } } : {}),
  });
  if (!login) {
    for (const setting of ['journal_mode = wal', 'synchronous = full', 'busy_timeout = 5000']) {
      await orm.em.getConnection().execute(`pragma ${setting}`);
    }
  }
  await store.ensureSchema?.();
  return { name: 'upstream', store, close: () => orm.close(true) };
}
