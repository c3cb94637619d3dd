import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import { sql } from '../support/databases';
import type { DatabaseName } from './options';
import type { Random } from './random';

/** The ports that a pooler's sessions reach PostgreSQL from, whether a client has one of them at the moment or not. */
export async function pooledSessionPorts(orm: MikroORM): Promise<number[]> {
  const text =
    'select client_port as port from pg_stat_activity where datname = current_database() and client_port > 0';
  return (await sql(orm).execute<{ port: number }[]>(text)).map(({ port }) => port);
}

/** End the sessions that reach the server from these local ports, as an administrator would. */
export async function terminate(orm: MikroORM, db: DatabaseName, ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    if (db === 'postgresql') {
      // A session that waits for a standby would let the others see what the standby does not have, and may never get.
      const text = `select pg_terminate_backend(pid) from pg_stat_activity
        where client_port = ? and pid <> pg_backend_pid() and wait_event is distinct from 'SyncRep'`;
      await sql(orm).execute(text, [port]);
      continue;
    }
    const text = 'select id as id from information_schema.processlist where host like ?';
    for (const { id } of await sql(orm).execute<{ id: number }[]>(text, [`%:${port}`])) {
      // The session may have ended by itself meanwhile.
      await sql(orm)
        .execute(`kill ${Number(id)}`, [], 'run')
        .catch(() => undefined);
    }
  }
}

/**
 * Lock rows of runs at work from the last to the first, while the store's shared statements lock them from the first to
 * the last, and the same with their checkpoints. Whoever loses the deadlock, nothing is changed here.
 */
export async function lockBackwards(orm: MikroORM, random: Random): Promise<void> {
  const active = "select id as id from durable_workflow_runs where status in ('running', 'suspended') limit 200";
  const runs = await sql(orm).execute<{ id: string }[]>(active);
  const ids = random.sample(runs, 6).map(({ id }) => id);
  const backwards = ids.sort().reverse();
  const texts = [
    'update durable_workflow_runs set updated_at = updated_at where id = ?',
    'update durable_step_checkpoints set attempts = attempts where run_id = ?',
  ];
  for (const text of random.sample(texts, 2)) {
    const em = sql(orm);
    await em.begin();
    try {
      for (const id of backwards) {
        await em.execute(text, [id], 'run');
        await delay(random.between(5, 60));
      }
      await em.commit();
    } catch (error) {
      await em.rollback().catch(() => undefined);
      if (!/deadlock|Record has changed/i.test(String(error))) throw error;
    }
  }
}

/** SQLite: be the one writer there can be. */
export async function holdWriteLock(orm: MikroORM, ms: number): Promise<void> {
  const em = sql(orm);
  await em.begin();
  try {
    await em.execute('update torture_accounts set balance = balance where id = 0', [], 'run');
    await delay(ms);
    await em.commit();
  } catch (error) {
    // This is the controller's only connection; a worker that was stopped may be the writer at the moment.
    await em.rollback().catch(() => undefined);
    throw error;
  }
}
