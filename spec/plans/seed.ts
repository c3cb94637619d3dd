import type { MikroORM } from '@mikro-orm/core';
import { type DatabaseKind, sql } from '../support/databases';

/** How many rows a seeded database has. */
export interface Size {
  readonly runs: number;
  readonly checkpointsPerRun: number;
}

/** How one family says the few things the seed needs. */
interface Words {
  readonly numbers: (count: number) => string;
  readonly instant: (ms: string) => string;
  readonly text: (parts: string[]) => string;
  readonly analyze: readonly string[];
}

const TABLES = [
  'durable_workflow_runs',
  'durable_step_checkpoints',
  'durable_run_attributes',
  'durable_signal_waiters',
  'durable_buffered_signals',
];

const WORDS: Record<DatabaseKind['family'], Words> = {
  sqlite: {
    numbers: (count) => `with recursive n(i) as (select 0 union all select i + 1 from n where i < ${count - 1})`,
    instant: (ms) => ms,
    text: (parts) => parts.join(' || '),
    analyze: ['analyze'],
  },
  postgresql: {
    numbers: (count) => `with n(i) as (select generate_series(0, ${count - 1}))`,
    instant: (ms) => `to_timestamp((${ms}) / 1000.0)`,
    text: (parts) => parts.join(' || '),
    analyze: TABLES.map((table) => `analyze ${table}`),
  },
  mysql: {
    numbers: (count) => {
      const digits = Array.from({ length: String(count - 1).length }, (_, power) => `d${power}`);
      const value = digits.map((digit, power) => `${digit}.i * ${10 ** power}`).join(' + ');
      const ten = Array.from({ length: 10 }, (_, i) => `select ${i} as i`).join(' union all ');
      const all = `select ${value} as i from ${digits.map((digit) => `ten as ${digit}`).join(', ')}`;
      return `with ten as (${ten}), n as (select i from (${all}) as numbers where i < ${count})`;
    },
    instant: (ms) => `date_add('1970-01-01', interval (${ms}) * 1000 microsecond)`,
    text: (parts) => `concat(${parts.join(', ')})`,
    analyze: TABLES.map((table) => `analyze table ${table}`),
  },
};

/** When the first seeded run was created, in epoch ms; one follows every second. */
export const FIRST_MS = 1_700_000_000_000;

/**
 * Fill the tables in bulk: most runs completed, one in a hundred each pending, running, suspended and failed; five
 * workflows, four namespaces, a tag and two attributes each.
 */
export async function seed(orm: MikroORM, kind: DatabaseKind, { runs, checkpointsPerRun }: Size): Promise<void> {
  const { numbers, instant, text, analyze } = WORDS[kind.family];
  const em = sql(orm);
  const key = kind.family === 'mysql' ? '`key`' : '"key"';
  const insert = async (target: string, count: number, values: string) => {
    const select = `${numbers(count)} select ${values} from n`;
    await em.execute(`insert into ${target} ${select}`, [], 'run');
  };
  const id = text(["'run-'", 'i']);
  const at = instant(`${FIRST_MS} + i * 1000`);
  await insert(
    'durable_workflow_runs (id, workflow, workflow_version, status, input, wake_at, tags, search_attributes, namespace, created_at, updated_at)',
    runs,
    `${id}, ${text(["'wf-'", '(i % 5)'])}, '1', case i % 100 when 0 then 'pending' when 1 then 'running' when 2 then 'suspended' when 3 then 'failed' else 'completed' end, ` +
      `'{"n":1}', case when i % 100 = 2 then ${at} else null end, ${tags(kind, text)}, '{}', ${text(["'ns-'", '(i % 4)'])}, ${at}, ${at}`,
  );
  await insert(
    'durable_step_checkpoints (run_id, seq, name, kind, step_id, status, output, attempts, started_at, finished_at)',
    runs * checkpointsPerRun,
    `${text(["'run-'", `(i % ${runs})`])}, ${kind.family === 'mysql' ? `i div ${runs}` : `i / ${runs}`}, ` +
      `'charge', 'local', 's', 'completed', '1', 1, ${at}, ${at}`,
  );
  const attributes = `durable_run_attributes (run_id, ${key}, str_value, num_value)`;
  await insert(attributes, runs, `${id}, 'total', null, i`);
  await insert(attributes, runs, `${id}, 'city', ${text(["'city-'", '(i % 1000)'])}, null`);
  await insert(
    'durable_signal_waiters (token, run_id, seq)',
    Math.ceil(runs / 10),
    `${text(["'child:run-'", 'i'])}, ${id}, 0`,
  );
  await insert(
    'durable_buffered_signals (token, payload)',
    Math.ceil(runs / 10),
    `${text(["'child:run-'", 'i'])}, '1'`,
  );
  for (const statement of analyze) await em.execute(statement);
}

function tags(kind: DatabaseKind, text: Words['text']): string {
  const json = text([`'["tag-'`, '(i % 1000)', `'"]'`]);
  return kind.family === 'postgresql' ? `(${json})::jsonb` : json;
}
