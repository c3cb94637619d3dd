import {
  normalizeAttributeRows,
  type RunQuery,
  type SearchAttributes,
  type SignalWaiter,
  type StateStore,
  type StepCheckpoint,
  type StoreTransaction,
  type WorkflowRun,
} from '@dudousxd/nestjs-durable-core';
import type { Connection } from './connection';
import type { Row, Value } from './drivers';
import { CHECKPOINT_COLUMNS, type Columns, encode, instant, RUN_COLUMNS, toCheckpoint, toRun } from './rows';
import { conflict, insertInto, RUNS, tokenRange } from './statements';
import { type Takes, takesOf } from './takes';

/**
 * What a good programmer writes by hand on a bare driver: one prepared statement per call, no ORM, no checks, no retries,
 * no grouping. The yardstick for what the store costs on top of the database.
 */
export class BareStore implements StateStore {
  private readonly insertRun: string;
  private readonly upsertCheckpoint: string;
  private readonly upsertWaiter: string;
  private readonly takes: Takes;

  constructor(private readonly db: Connection) {
    const { database } = db;
    const names = (columns: Columns) => columns.map(([, column]) => column);
    this.insertRun = insertInto(RUNS, names(RUN_COLUMNS)) + conflict(database, ['id'], []);
    this.upsertCheckpoint =
      insertInto('durable_step_checkpoints', names(CHECKPOINT_COLUMNS)) +
      conflict(database, ['run_id', 'seq'], names(CHECKPOINT_COLUMNS).slice(2));
    const waiter = ['token', 'run_id', 'seq', 'parallel_group'];
    this.upsertWaiter = insertInto('durable_signal_waiters', waiter) + conflict(database, ['token'], waiter.slice(1));
    this.takes = takesOf(database);
  }

  async createRun(run: WorkflowRun): Promise<void> {
    const row = this.params(RUN_COLUMNS, { ...run, namespace: run.namespace ?? 'default' });
    if (!run.searchAttributes) return void (await this.db.affected(this.insertRun, row));
    await this.db.transaction(async (tx) => {
      if ((await tx.affected(this.insertRun, row)) === 1) await insertAttributes(tx, run.id, run.searchAttributes);
    });
  }

  async updateRun(runId: string, patch: Partial<WorkflowRun>): Promise<void> {
    const patched = RUN_COLUMNS.filter(([property]) => property !== 'id' && Object.hasOwn(patch, property));
    const sql = `update ${RUNS} set ${patched.map(([, column]) => `${column} = ?`).join(', ')} where id = ?`;
    const params = [...this.params(patched, patch), runId];
    if (!Object.hasOwn(patch, 'searchAttributes')) return this.updateExisting(this.db, runId, sql, params);
    await this.db.transaction(async (tx) => {
      await this.updateExisting(tx, runId, sql, params);
      await tx.affected('delete from durable_run_attributes where run_id = ?', [runId]);
      await insertAttributes(tx, runId, patch.searchAttributes);
    });
  }

  async getRun(runId: string): Promise<WorkflowRun | null> {
    const [row] = await this.db.rows(`select * from ${RUNS} where id = ?`, [runId]);
    return row ? toRun(row) : null;
  }

  async deleteRun(runId: string): Promise<void> {
    await this.db.transaction(async (tx) => {
      await tx.affected(`delete from ${RUNS} where id = ?`, [runId]);
      for (const table of ['durable_step_checkpoints', 'durable_signal_waiters', 'durable_run_attributes']) {
        await tx.affected(`delete from ${table} where run_id = ?`, [runId]);
      }
    });
  }

  async getCheckpoint(runId: string, seq: number): Promise<StepCheckpoint | null> {
    const sql = 'select * from durable_step_checkpoints where run_id = ? and seq = ?';
    const [row] = await this.db.rows(sql, [runId, seq]);
    return row ? toCheckpoint(row) : null;
  }

  async saveCheckpoint(checkpoint: StepCheckpoint): Promise<void> {
    await this.db.affected(this.upsertCheckpoint, this.params(CHECKPOINT_COLUMNS, checkpoint));
  }

  async listCheckpoints(runId: string): Promise<StepCheckpoint[]> {
    const sql = 'select * from durable_step_checkpoints where run_id = ? order by seq';
    return (await this.db.rows(sql, [runId])).map(toCheckpoint);
  }

  listIncompleteRuns(namespace?: string): Promise<WorkflowRun[]> {
    return this.runs(`status in ('running', 'cancelling')`, [], 'created_at, id', namespace);
  }

  listPendingRuns(limit: number, namespace?: string): Promise<WorkflowRun[]> {
    return this.runs(`status = 'pending'`, [], `created_at, id limit ${limit}`, namespace);
  }

  listDueTimers(nowMs: number, namespace?: string): Promise<WorkflowRun[]> {
    const now = instant(nowMs, this.db.database);
    return this.runs(`status = 'suspended' and wake_at <= ?`, [now], 'wake_at, id', namespace);
  }

  async listRuns(query: RunQuery): Promise<WorkflowRun[]> {
    if (query.tag || query.attributes?.length) throw new Error('the bare store does not search');
    const statuses = query.statuses ?? (query.status ? [query.status] : undefined);
    const conditions = [
      ...(statuses ? [`status in (${statuses.map(() => '?').join(', ')})`] : []),
      ...(query.workflow ? ['workflow = ?'] : []),
    ];
    const page = query.limit === undefined ? '' : ` limit ${query.limit} offset ${query.offset ?? 0}`;
    return this.runs(
      conditions.join(' and ') || '1 = 1',
      [...(statuses ?? []), ...(query.workflow ? [query.workflow] : [])],
      `created_at desc, id desc${page}`,
      query.namespace,
    );
  }

  async tryLockRun(runId: string, owner: string, leaseUntilMs: number, nowMs: number): Promise<boolean> {
    const { database } = this.db;
    const sql = `update ${RUNS} set locked_by = ?, locked_until = ? where id = ? and (locked_until is null or locked_until <= ?)`;
    const params = [owner, instant(leaseUntilMs, database), runId, instant(nowMs, database)];
    return (await this.db.affected(sql, params)) === 1;
  }

  async releaseRunLock(runId: string): Promise<void> {
    await this.db.affected(`update ${RUNS} set locked_by = null, locked_until = null where id = ?`, [runId]);
  }

  async renewRunLock(runId: string, owner: string, leaseUntilMs: number): Promise<boolean> {
    const sql = `update ${RUNS} set locked_until = ? where id = ? and locked_by = ?`;
    return (await this.db.affected(sql, [instant(leaseUntilMs, this.db.database), runId, owner])) === 1;
  }

  async putSignalWaiter({ token, runId, seq, parallelGroup }: SignalWaiter): Promise<void> {
    await this.db.affected(this.upsertWaiter, [token, runId, seq, parallelGroup ?? null]);
  }

  async takeSignalWaiter(token: string): Promise<SignalWaiter | null> {
    const row = await this.takes.waiter(this.db, token);
    return row ? toWaiter(row) : null;
  }

  async listSignalWaiters(prefix: string): Promise<SignalWaiter[]> {
    const { sql, params } = tokenRange(prefix);
    const order = 'order by run_id, seq desc, token';
    return (await this.db.rows(`select * from durable_signal_waiters where ${sql} ${order}`, params)).map(toWaiter);
  }

  async removeSignalWaiter({ token, runId, seq }: SignalWaiter): Promise<void> {
    const sql = 'delete from durable_signal_waiters where token = ? and run_id = ? and seq = ?';
    await this.db.affected(sql, [token, runId, seq]);
  }

  async bufferSignal(token: string, payload: unknown): Promise<void> {
    const sql = 'insert into durable_buffered_signals (token, payload) values (?, ?)';
    await this.db.affected(sql, [token, JSON.stringify(payload) ?? null]);
  }

  async takeBufferedSignal(token: string): Promise<{ payload: unknown } | null> {
    const row = await this.takes.oldest(this.db, token);
    return row ? { payload: parsed(row.payload) } : null;
  }

  async bufferEvent(event: { name: string; payload: unknown; id: string; publishedAt: number }): Promise<void> {
    const sql = 'insert into durable_buffered_signals (event_id, token, payload, published_at) values (?, ?, ?, ?)';
    const at = instant(event.publishedAt, this.db.database);
    await this.db.affected(sql, [event.id, `\u0001${event.name}`, JSON.stringify(event.payload) ?? null, at]);
  }

  async listBufferedEvents(name: string, limit: number) {
    const sql =
      'select * from durable_buffered_signals where token = ? and event_id is not null ' +
      `order by published_at, event_id limit ${limit}`;
    const rows = await this.db.rows(sql, [`\u0001${name}`]);
    return rows.map((row) => ({
      id: String(row.event_id),
      payload: parsed(row.payload),
      publishedAt: Number(row.published_at),
    }));
  }

  async removeBufferedEvent(id: string): Promise<boolean> {
    return (await this.db.affected('delete from durable_buffered_signals where event_id = ?', [id])) === 1;
  }

  async transaction<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    return this.db.transaction((tx) => {
      const store = new BareStore(tx);
      return work({ raw: tx, saveCheckpoint: (checkpoint) => store.saveCheckpoint(checkpoint) });
    });
  }

  private params(columns: Columns, value: object): Value[] {
    return columns.map(([property, , kind]) => encode((value as Row)[property], kind, this.db.database));
  }

  private async updateExisting(db: Connection, runId: string, sql: string, params: Value[]): Promise<void> {
    if ((await db.affected(sql, params)) === 0) throw new Error(`run ${runId} not found`);
  }

  private async runs(where: string, params: Value[], order: string, namespace?: string): Promise<WorkflowRun[]> {
    const inNamespace = namespace === undefined ? '' : ' and namespace = ?';
    const sql = `select * from ${RUNS} where ${where}${inNamespace} order by ${order}`;
    return (await this.db.rows(sql, namespace === undefined ? params : [...params, namespace])).map(toRun);
  }
}

async function insertAttributes(db: Connection, runId: string, attributes: SearchAttributes | undefined) {
  const sql = insertInto('durable_run_attributes', [
    'run_id',
    db.database === 'mariadb' || db.database === 'mysql' ? '`key`' : 'key',
    'str_value',
    'num_value',
  ]);
  for (const { key, strValue, numValue } of normalizeAttributeRows(runId, attributes)) {
    await db.affected(sql, [runId, key, strValue ?? null, numValue ?? null]);
  }
}

function toWaiter(row: Row): SignalWaiter {
  return {
    token: String(row.token),
    runId: String(row.run_id),
    seq: Number(row.seq),
    ...(row.parallel_group === null ? {} : { parallelGroup: String(row.parallel_group) }),
  };
}

function parsed(raw: unknown): unknown {
  if (raw === null) return undefined;
  return typeof raw === 'string' ? JSON.parse(raw) : raw;
}
