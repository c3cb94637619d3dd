import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MikroOrmStateStore } from '../../lib';
import { QueryLog } from '../../spec/support/query-log';
import { type BenchDatabase, openSession } from '../databases';
import { openOrm } from '../subjects/ours';
import type { ScaleCall } from './scale-calls';

/** Write down how the database carries out the statements of `calls`. */
export async function recordPlans(
  target: BenchDatabase,
  calls: readonly ScaleCall[],
  out: string,
  heading: string,
): Promise<void> {
  const log = new QueryLog();
  const orm = await openOrm(target, { ...log.options, debug: ['query', 'query-params'] });
  const session = openSession(target);
  const text = [heading];
  try {
    const store = new MikroOrmStateStore(orm);
    await store.getRun('the first call asks the server for its version');
    for (const { name, call } of calls) {
      const statements = await log.of(() => call(store, 1_000_000));
      text.push(`\n== ${name}`);
      for (const { sql } of statements) {
        if (/^(begin|start|set|commit|rollback)/.test(sql)) continue;
        text.push(shortened(sql), ...(await plan(session, target, sql)).map((line) => `    ${line}`));
      }
    }
  } finally {
    await session.close();
    await orm.close(true);
  }
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, `plans-${target.database}.txt`), `${text.join('\n')}\n`);
}

async function plan(session: ReturnType<typeof openSession>, { database }: BenchDatabase, sql: string) {
  const explain = {
    sqlite: 'explain query plan',
    postgresql: 'explain',
    mariadb: 'explain',
    mysql: 'explain format=traditional',
  }[database];
  const rows = await session.query(`${explain} ${sql}`);
  switch (database) {
    case 'sqlite':
      return rows.map((row) => String(row.detail));
    case 'postgresql':
      return rows.map((row) => String(row['QUERY PLAN']));
    case 'mariadb':
    case 'mysql':
      return rows.map((row) =>
        ['id', 'table', 'type', 'key', 'key_len', 'rows', 'Extra']
          .map((name) => `${name}=${row[name] ?? ''}`)
          .join('  '),
      );
  }
}

/** The select list says nothing about the plan. */
function shortened(sql: string): string {
  return sql.replace(/^select .*? from (?=[`"]durable_|\()/s, 'select … from ').slice(0, 700);
}
