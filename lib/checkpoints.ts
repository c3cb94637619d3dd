import type { Dialect } from './dialect';
import { insertIfAbsent } from './insert';
import { checkText } from './limits';
import { startsWithAny } from './prefix';
import { replacesCheckpoint } from './progress';
import { checkpointParams, toCheckpoint } from './rows';
import { any, type Condition, type Scope } from './scope';
import type { Param, Row, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import type { StepCheckpoint } from './types';
import { throwsWhenRead } from './unreadable';

/** Where a checkpoint stands. */
export interface Position {
  readonly runId: string;
  readonly seq: number;
}

/** A position as one text: what two saves must not share within a statement. */
export function positionKey(runId: string, seq: number): string {
  return `${runId}\u0000${seq}`;
}

/** Statements on step checkpoints. */
export class Checkpoints {
  private readonly columns: string;
  private readonly values: string;
  private readonly insert: (count: number) => string;
  private readonly selectAt: (count: number) => string;
  private readonly ofRun: string;
  private readonly listText: (count: number) => string;
  private conflictText: string | undefined;
  private conflictInDoubt: string | undefined;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { checkpoints } = tables;
    this.columns = checkpoints.properties.map((property) => checkpoints.column(property)).join(', ');
    this.values = checkpoints.properties.map(() => '?').join(', ');
    this.ofRun = `${checkpoints.column('runId')} = ?`;
    const head = `insert into ${checkpoints.name} (${this.columns}) values `;
    this.insert = perCount((count) => head + repeated(`(${this.values})`, count));
    const at = { text: `${checkpoints.column('runId')} = ? and ${checkpoints.column('seq')} = ?`, params: [] };
    const confined = scope.ownedRows(checkpoints).text;
    const [runId, seq] = [checkpoints.column('runId'), checkpoints.column('seq')];
    const list = `select ${checkpoints.selection} from ${checkpoints.name} where ${runId} in `;
    this.listText = perCount((count) => `${list}(${repeated('?', count)})${confined} order by ${runId}, ${seq}`);
    this.selectAt = perCount(
      (count) =>
        `select ${checkpoints.selection} from ${checkpoints.name} where ${any(Array(count).fill(at)).text}${confined}`,
    );
  }

  /** Check a checkpoint and turn it into the parameters of its row. */
  params(checkpoint: StepCheckpoint): Param[] {
    return checkpointParams(this.tables.checkpoints, checkpoint);
  }

  /** Write every column of checkpoints of different `(runId, seq)`, new or not; a completed step stays completed. */
  async save(sql: Sql, rows: readonly Param[][]): Promise<void> {
    await sql.run(this.insert(rows.length) + this.conflict(sql), rows.flat());
  }

  /** Write a checkpoint where there is none, and true if so. Waits for a competitor that is about to. */
  saveIfAbsent(sql: Sql, runId: string, row: readonly Param[]): Promise<boolean> {
    const { checkpoints } = this.tables;
    const guard = this.scope.newRow(runId);
    const source = guard.text === '' ? `values (${this.values})` : `select ${this.values}${guard.text}`;
    const keys = [checkpoints.column('runId'), checkpoints.column('seq')];
    const insert = `insert into ${checkpoints.name} (${this.columns}) ${source}`;
    return insertIfAbsent(sql, insert, keys, [...row, ...guard.params]);
  }

  /** The checkpoint as committed last, which may be younger than the transaction's own view: only a lock shows it. */
  async getCommitted(sql: Sql, { runId, seq }: Position): Promise<StepCheckpoint | undefined> {
    const { checkpoints } = this.tables;
    const scope = this.scope.ownedRows(checkpoints);
    const rows = await sql.rows(this.selectAt(1) + sql.dialect.forShare, [runId, seq, ...scope.params]);
    return rows[0] && toCheckpoint(checkpoints.decode(rows[0]));
  }

  /** Write a checkpoint unless its run belongs to another namespace. */
  async saveConfined(sql: Sql, runId: string, row: readonly Param[]): Promise<void> {
    const guard = this.scope.newRow(runId);
    const { name } = this.tables.checkpoints;
    const source = `select ${this.values}${guard.text}`;
    await sql.run(`insert into ${name} (${this.columns}) ${source}${this.conflict(sql)}`, [...row, ...guard.params]);
  }

  /** The checkpoints at these positions, each to be decoded for its own caller. */
  async get(sql: Sql, positions: readonly Position[]): Promise<(() => StepCheckpoint | null)[]> {
    const { checkpoints } = this.tables;
    const scope = this.scope.ownedRows(checkpoints);
    const rows = await sql.rows(this.selectAt(positions.length), [
      ...positions.flatMap(({ runId, seq }) => [runId, seq]),
      ...scope.params,
    ]);
    const found = new Map(rows.map((row) => [positionKey(String(row.runId), Number(row.seq)), row]));
    return positions.map(({ runId, seq }) => () => {
      const row = found.get(positionKey(runId, seq));
      return row ? toCheckpoint(checkpoints.decode(row)) : null;
    });
  }

  /** All checkpoints of runs in `seq` order, compensations (negative) first, each run's to be decoded for its own caller. */
  async list(sql: Sql, runIds: readonly string[]): Promise<(() => StepCheckpoint[])[]> {
    const { checkpoints } = this.tables;
    const rows = await sql.rows(this.listText(runIds.length), [...runIds, ...this.scope.ownedRows(checkpoints).params]);
    if (runIds.length === 1) return [() => this.listed(rows)];
    const byRun = new Map<unknown, Row[]>(runIds.map((runId) => [runId, []]));
    for (const row of rows) byRun.get(row.runId)?.push(row);
    return runIds.map((runId) => () => this.listed(byRun.get(runId) ?? []));
  }

  /** One that cannot be read is among them: a run that did not see it would execute its step again. */
  private listed(rows: readonly Row[]): StepCheckpoint[] {
    return rows.map((row) => toCheckpoint(this.tables.checkpoints.decode(row, throwsWhenRead)));
  }

  /** The checkpoint of exactly this name with the highest `seq`. */
  async latestByName(sql: Sql, runId: string, name: string): Promise<StepCheckpoint | undefined> {
    const named = { text: ` and ${this.tables.checkpoints.column('name')} = ?`, params: [name] };
    const [row] = await this.select(sql, runId, named, `${this.bySeq('desc')} limit 1`);
    return row && toCheckpoint(this.tables.checkpoints.decode(row));
  }

  /** The checkpoints whose name begins with any of `prefixes`, in `seq` order. */
  async listByNamePrefix(sql: Sql, runId: string, prefixes: readonly string[]): Promise<StepCheckpoint[]> {
    for (const prefix of prefixes) checkText(prefix, 'prefix');
    const name = this.tables.checkpoints.column('name');
    const { text, params } = startsWithAny(sql.dialect, name, prefixes);
    return this.listed(await this.select(sql, runId, { text: ` and ${text}`, params }, this.bySeq('asc')));
  }

  private async select(sql: Sql, runId: string, filter: Condition, order = ''): Promise<Row[]> {
    const { checkpoints } = this.tables;
    const scope = this.scope.ownedRows(checkpoints);
    return sql.rows(
      `select ${checkpoints.selection} from ${checkpoints.name} where ${this.ofRun}${filter.text}${scope.text}${order}`,
      [runId, ...filter.params, ...scope.params],
    );
  }

  /** Built at the first write, when the dialect is known. */
  private conflict(sql: Sql): string {
    if (sql.inDoubt) {
      this.conflictInDoubt ??= this.replaceUnfinished(sql.dialect);
      return this.conflictInDoubt;
    }
    this.conflictText ??= this.replaceConflict(sql.dialect);
    return this.conflictText;
  }

  /** In place of a checkpoint that is not completed: whoever has completed the step since keeps it. The status comes last, as it decides. */
  private replaceUnfinished(dialect: Dialect): string {
    const { keys, status, others } = this.upserted();
    const unfinished = `${this.tables.checkpoints.name}.${status} <> 'completed'`;
    return dialect.replaceConflictIf(keys, [...others, status], unfinished).text;
  }

  private replaceConflict(dialect: Dialect): string {
    const { keys, status, others } = this.upserted();
    const { replaces, replaced } = replacesCheckpoint(this.tables, dialect.added);
    return dialect.replaceConflictIf(keys, [status, ...others], replaces, replaced).text;
  }

  /** The columns an upsert finds a row by, the one that decides whether the row is replaced, and the others. */
  private upserted() {
    const { checkpoints } = this.tables;
    const keys = [checkpoints.column('runId'), checkpoints.column('seq')];
    const status = checkpoints.column('status');
    const columns = checkpoints.properties.map((property) => checkpoints.column(property));
    return { keys, status, others: columns.filter((column) => column !== status && !keys.includes(column)) };
  }

  private bySeq(direction: 'asc' | 'desc'): string {
    return ` order by ${this.tables.checkpoints.column('seq')} ${direction}`;
  }
}
