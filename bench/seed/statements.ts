import type { DatabaseName } from '../options';
import { GENERATORS, type Generator } from './numbers';

/** Runs that share a tag and an attribute value, however many runs there are. */
export const RUNS_PER_CUSTOMER = 20;
export const WORKFLOWS = 20;
export const CHECKPOINTS_PER_RUN = 10;

/** Of a hundred runs: what a service has after a while. No poll scan finds any of them. */
const STATUS =
  `case when mod_n < 90 then 'completed' when mod_n < 94 then 'failed' when mod_n < 96 then 'cancelled' ` +
  `else 'suspended' end`;

export const runId = (generator: Generator, n: string) => generator.concat(`'run-'`, generator.scatter(n));

/**
 * The statements that insert the runs with the numbers from `first` to `last` of `total`, and all that belongs to them. The
 * same numbers give the same rows.
 */
export function seedStatements(database: DatabaseName, first: number, last: number, total: number): string[] {
  const generator = GENERATORS[database];
  const numbers = generator.numbers(first, last);
  const { concat, text, at } = generator;
  const id = runId(generator, 'n');
  const customers = Math.max(1, Math.floor(total / RUNS_PER_CUSTOMER));
  const customer = concat(`'customer-'`, text(`n % ${customers}`));
  const status = STATUS.replaceAll('mod_n', '(n % 100)');
  const json = (sql: string) => (database === 'postgresql' ? `${sql}::json` : sql);
  const tags = concat(`'["'`, customer, `'"]'`);
  const input = concat(
    `'{"orderId":"order-'`,
    text('n'),
    `'","customer":"Ada Lovelace","items":[{"sku":"a-1","quantity":2}],"total":129.9}'`,
  );
  const wakeAt = `case when n % 100 >= 96 then ${at('n + 315360000')} else null end`;
  const key = database === 'mariadb' || database === 'mysql' ? '`key`' : 'key';
  const steps = generator
    .numbers(0, CHECKPOINTS_PER_RUN - 1)
    .replaceAll('numbers', 'steps')
    .replace(/\(n\)$/, '(seq)');
  const seq = database === 'postgresql' ? 'steps.seq' : 'steps.n';
  const runs = `(select n, ${id} as run_id from ${numbers}) as runs`;
  return [
    `insert into durable_workflow_runs (id, workflow, workflow_version, status, input, output, wake_at, tags, search_attributes, namespace, created_at, updated_at) ` +
      `select ${id}, ${concat(`'workflow-'`, text(`n % ${WORKFLOWS}`))}, '1', ${status}, ${json(input)}, ${json(`'{"ok":true}'`)}, ${wakeAt}, ` +
      `${database === 'postgresql' ? `${tags}::jsonb` : tags}, ${json(concat(`'{"amount":'`, text('n'), `',"customer":"'`, customer, `'"}'`))}, 'default', ` +
      `${at('n')}, ${at('n + 60')} from ${numbers} order by 1`,
    `insert into durable_step_checkpoints (run_id, seq, name, kind, step_id, status, output, attempts, enqueued_at, started_at, finished_at) ` +
      `select runs.run_id, ${seq}, ${concat(`'step-'`, text(seq))}, 'local', ${concat('runs.run_id', `':'`, text(seq))}, 'completed', ` +
      `${json(`'{"ok":true,"reference":"0123456789abcdef","amount":129.9}'`)}, 1, ${['n', 'n', 'n + 1'].map((n) => at(`runs.${n}`)).join(', ')} ` +
      `from ${runs} cross join ${steps} order by 1, 2`,
    `insert into durable_run_attributes (run_id, ${key}, str_value, num_value) select ${id}, 'amount', null, n from ${numbers} order by 1`,
    `insert into durable_run_attributes (run_id, ${key}, str_value, num_value) select ${id}, 'customer', ${customer}, null from ${numbers} order by 1`,
    `insert into durable_signal_waiters (token, run_id, seq) select ${concat(`'signal:'`, id)}, ${id}, 10 from ${numbers} where n % 100 >= 96 order by 1`,
    `insert into durable_buffered_signals (token, payload) select ${concat(`'child:'`, id)}, ${json(`'{"ok":true,"value":{"total":45}}'`)} from ${numbers} where n % 100 < 94`,
  ];
}
