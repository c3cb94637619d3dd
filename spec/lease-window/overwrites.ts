import type { MikroORM } from '@mikro-orm/core';
import { type DatabaseKind, sql } from '../support/databases';

const ENDED = "('completed', 'failed', 'cancelled', 'dead')";
const OVERWRITTEN = `old.status in ${ENDED} and new.status not in ${ENDED}`;

/** Triggers that note every run whose terminal status is overwritten by another. */
const TRIGGERS: Record<DatabaseKind['family'], readonly string[]> = {
  sqlite: [
    'create table overwritten (run_id text not null)',
    `create trigger overwriting after update on durable_workflow_runs when ${OVERWRITTEN}
     begin insert into overwritten values (old.id); end`,
  ],
  postgresql: [
    'create table overwritten (run_id text not null)',
    `create function overwriting() returns trigger language plpgsql as
     'begin insert into overwritten values (old.id); return null; end'`,
    `create trigger overwriting after update on durable_workflow_runs for each row when (${OVERWRITTEN})
     execute function overwriting()`,
  ],
  mysql: [
    'create table overwritten (run_id varchar(255) not null)',
    `create trigger overwriting after update on durable_workflow_runs for each row
     insert into overwritten select old.id from (select 1) as once where ${OVERWRITTEN}`,
  ],
};

/** Have the database itself note overwritten terminal statuses. */
export async function watchOverwrites(kind: DatabaseKind, orm: MikroORM): Promise<void> {
  for (const statement of TRIGGERS[kind.family]) await sql(orm).execute(statement, [], 'run');
}

/** How often a terminal status was overwritten since {@link watchOverwrites}. */
export async function countOverwrites(orm: MikroORM): Promise<number> {
  return (await sql(orm).execute('select run_id from overwritten')).length;
}
