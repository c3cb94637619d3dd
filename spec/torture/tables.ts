import type { MikroORM } from '@mikro-orm/core';
import { sql } from '../support/databases';
import type { Executed } from './observer';

export interface StoredRun {
  readonly workflow: string;
  readonly status: string;
  readonly error: string;
}

export interface StoredCheckpoint {
  readonly name: string;
  readonly status: string;
  /** As far as it is a step of ours, or a message. */
  readonly output: Partial<Executed & { message: string }>;
}

export interface StoredCharge {
  readonly step: string;
  readonly execution: string;
  readonly account: number;
}

/** What plain SQL finds in the end. */
export interface StoredTables {
  readonly runs: ReadonlyMap<string, StoredRun>;
  /** By run and name. */
  readonly checkpoints: ReadonlyMap<string, ReadonlyMap<string, StoredCheckpoint>>;
  /** By run. */
  readonly charges: ReadonlyMap<string, readonly StoredCharge[]>;
  /** By id: what the account says. */
  readonly balances: ReadonlyMap<number, number>;
  /** Ids of the messages that nobody has taken. */
  readonly buffered: ReadonlySet<string>;
}

type Row = Record<string, unknown>;

export async function readTables(orm: MikroORM): Promise<StoredTables> {
  const rows = (text: string) => sql(orm).execute<Row[]>(text);
  const runs = await rows(
    'select id as id, workflow as workflow, status as status, error as error from durable_workflow_runs',
  );
  const steps = await rows(
    'select run_id as run, name as name, status as status, output as output from durable_step_checkpoints where seq >= 0',
  );
  const charges = await rows(
    'select run_id as run, step as step, execution as execution, account as account from torture_charges',
  );
  const accounts = await rows('select id as id, balance as balance from torture_accounts');
  const buffered = await rows("select payload as payload from durable_buffered_signals where token not like 'child:%'");
  const checkpoints = new Map<string, Map<string, StoredCheckpoint>>();
  for (const { run, name, status, output } of steps) {
    const ofRun = checkpoints.get(String(run)) ?? new Map<string, StoredCheckpoint>();
    ofRun.set(String(name), { name: String(name), status: String(status), output: json(output) });
    checkpoints.set(String(run), ofRun);
  }
  return {
    runs: new Map(
      runs.map(({ id, workflow, status, error }) => [
        String(id),
        {
          workflow: String(workflow),
          status: String(status),
          error: String(json<{ message?: string }>(error).message ?? ''),
        },
      ]),
    ),
    checkpoints,
    charges: chargesByRun(charges),
    balances: new Map(accounts.map(({ id, balance }) => [Number(id), Number(balance)])),
    buffered: new Set(buffered.map(({ payload }) => json<{ message?: string }>(payload).message ?? '')),
  };
}

function chargesByRun(rows: readonly Row[]): Map<string, StoredCharge[]> {
  const charges = new Map<string, StoredCharge[]>();
  for (const { run, step, execution, account } of rows) {
    const charge = { step: String(step), execution: String(execution), account: Number(account) };
    charges.set(String(run), [...(charges.get(String(run)) ?? []), charge]);
  }
  return charges;
}

/** Drivers give a JSON column as text or as what it says. Anything but an object reads as an empty one. */
function json<T extends object>(value: unknown): Partial<T> {
  const parsed: unknown = typeof value === 'string' ? JSON.parse(value) : value;
  return typeof parsed === 'object' && parsed !== null ? (parsed as T) : {};
}
