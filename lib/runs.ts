import type { RunAttributeRow } from '../schemas/run-attribute';
import { Attributes } from './attributes';
import { DurableDatabaseError } from './errors';
import { insertIfAbsent } from './insert';
import { type Guard, guardOf, isReopening, progressOf } from './progress';
import { attributeRows, patchParams, runParams, toRun } from './rows';
import { any, type Condition, joined, type Scope, UNRESTRICTED } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import type { WorkflowRun } from './types';
import { changeUnlocked, columnOfEach } from './unlocked';

/** A patch of a run, checked: columns and their parameters, and the attribute rows where it names them. */
export interface RunChange {
  readonly runId: string;
  readonly columns: readonly string[];
  readonly params: readonly Param[];
  readonly attributes: readonly RunAttributeRow[] | undefined;
  /** Which ended runs it leaves as they are. */
  readonly guard: Guard;
  /** When it was made, if it says so: a repeat does not replace what was written later. */
  readonly at: Param | undefined;
  readonly reopens: boolean;
  /** The owner of the lease under which it is made, if it is made under one. */
  readonly holder?: string | undefined;
}

/** Statements that create, read, change and delete one run. */
export class Runs {
  private readonly attributes: Attributes;
  private readonly insert: (count: number) => string;
  private readonly select: (count: number) => string;
  private readonly byId: string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { runs } = tables;
    this.attributes = new Attributes(tables);
    const columns = runs.properties.map((property) => runs.column(property)).join(', ');
    const values = `(${repeated('?', runs.properties.length)})`;
    this.insert = perCount((count) => `insert into ${runs.name} (${columns}) values ${repeated(values, count)}`);
    this.byId = `${runs.column('id')} = ?`;
    const confined = scope.runs().text;
    this.select = perCount(
      (count) =>
        `select ${runs.selection} from ${runs.name} where ${runs.column('id')} in (${repeated('?', count)})${confined}`,
    );
  }

  /** Whether a create needs more than its one statement. */
  hasAttributes(run: Partial<WorkflowRun>): boolean {
    return attributeRows('', run.searchAttributes).length > 0;
  }

  /** Check a run and turn it into the parameters of its row. */
  params(run: WorkflowRun): Param[] {
    return runParams(this.tables.runs, this.scope.named(run));
  }

  /** Insert runs without attribute rows; those whose id is taken are left as they are. */
  async create(sql: Sql, rows: readonly Param[][]): Promise<void> {
    const id = this.tables.runs.column('id');
    await sql.run(this.insert(rows.length) + sql.dialect.ignoreConflict([id]), rows.flat());
  }

  /** Insert a run's row and its attribute rows, unless its id is taken. Needs a transaction. */
  async createWithAttributes(sql: Sql, run: WorkflowRun, row: Param[]): Promise<void> {
    const id = this.tables.runs.column('id');
    if (await insertIfAbsent(sql, this.insert(1), [id], row)) {
      await this.attributes.insert(sql, attributeRows(run.id, run.searchAttributes));
    }
  }

  /** The runs of these ids, each to be decoded for its own caller. */
  async get(sql: Sql, runIds: readonly string[]): Promise<(() => WorkflowRun | null)[]> {
    const { runs } = this.tables;
    const rows = await sql.rows(this.select(runIds.length), [...runIds, ...this.scope.runs().params]);
    const byId = new Map(rows.map((row) => [row.id, row]));
    return runIds.map((runId) => () => {
      const row = byId.get(runId);
      return row ? toRun(runs.decode(row)) : null;
    });
  }

  /**
   * Check a patch and turn it into what it changes. What opens a run again frees its lease as well, whoever holds it: the
   * engine's own release before it frees no other engine's.
   */
  change(runId: string, patch: Partial<WorkflowRun>): RunChange {
    const named = Object.hasOwn(patch, 'namespace') ? this.scope.named(patch) : patch;
    const whole = isReopening(patch) ? { lockedBy: undefined, lockedUntil: undefined, ...named } : named;
    const { columns, params } = patchParams(this.tables.runs, whole);
    const attributes = Object.hasOwn(patch, 'searchAttributes')
      ? attributeRows(runId, patch.searchAttributes)
      : undefined;
    const at = patch.updatedAt === undefined ? undefined : this.tables.runs.encode('updatedAt', patch.updatedAt);
    return { runId, columns, params, attributes, guard: guardOf(patch), at, reopens: isReopening(patch) };
  }

  /**
   * Make patches of the same columns and guard of different runs, attributes aside, as far as nobody's lock on a run is in the
   * way and no lease lifts a guard. Needs a transaction, unless the database updates what it locks. Returns the runs it changed.
   */
  updateUnlocked(sql: Sql, changes: readonly RunChange[]): Promise<ReadonlySet<string>> {
    const { runs } = this.tables;
    const runIds = changes.map(({ runId }) => runId);
    const [{ columns, guard }] = changes as readonly [RunChange];
    const scope = this.scope.runs();
    const progress = progressOf(this.tables, guard, undefined).text;
    const id = runs.column('id');
    return changeUnlocked(sql, this.tables, {
      runIds,
      lock: `select ${runs.select('id')} from ${runs.name} where ${id} in (${repeated('?', runIds.length)})${scope.text}${progress}`,
      lockParams: [...runIds, ...scope.params],
      set: columns.map((column) => columnOfEach(this.tables, runIds.length, column)).join(', '),
      setParams: columns.flatMap((_, n) => changes.flatMap(({ runId, params }) => [runId, params[n] as Param])),
    });
  }

  /**
   * Set the patched columns and, when the patch names them, the attribute rows, unless that would undo what the run has
   * reached; false when there is no such run. The update takes the run's row lock, so attribute rewrites of one run follow
   * each other. With attributes it needs a transaction.
   */
  async update(sql: Sql, change: RunChange): Promise<boolean> {
    const { runId, columns, params, attributes, guard, holder } = change;
    const { runs } = this.tables;
    const scope = this.scope.runs();
    if (columns.length === 0) return this.exists(sql, runId);
    const progress = joined([
      progressOf(this.tables, guard, holder),
      sql.inDoubt ? this.notSince(change) : UNRESTRICTED,
    ]);
    const isBound = guard !== 'none' || sql.inDoubt;
    const set = columns.map((column) => `${column} = ?`).join(', ');
    const text = `update ${runs.name} set ${set} where ${this.byId}${scope.text}${progress.text}`;
    const values = [...params, runId, ...scope.params, ...progress.params];
    if ((await sql.affected(text, values)) === 0) {
      if ((!isBound && !sql.dialect.countsChangedRows) || !(await this.exists(sql, runId))) return false;
      // It may have come since, and then the patch is still to be made.
      await sql.run(text, values);
      if (!(await this.exists(sql, runId, progress))) return true;
    }
    if (attributes) await this.attributes.replace(sql, runId, attributes);
    return true;
  }

  /**
   * That nothing was written to the run since a patch was made that may have been made already: it is still under the lease of
   * whoever makes the patch, or was last written before. What opens a run again does so once.
   */
  private notSince({ at, holder, reopens }: RunChange): Condition {
    const { runs } = this.tables;
    const unwritten = { text: `${runs.column('updatedAt')} <= ?`, params: [at as Param] };
    const held = { text: `${runs.column('lockedBy')} = ?`, params: holder === undefined ? [] : [holder] };
    const either = holder === undefined ? unwritten : any([held, unwritten]);
    const closed = reopens ? ` and ${runs.column('status')} <> 'pending'` : '';
    return { text: ` and ${either.text}${closed}`, params: either.params };
  }

  /** Delete a run and all rows that belong to it. Needs a transaction. */
  async delete(sql: Sql, runId: string): Promise<void> {
    const { runs } = this.tables;
    const scope = this.scope.runs();
    // A run that is there may be the one that was to be deleted, or another that was started under its id since.
    if (sql.inDoubt && (await this.exists(sql, runId))) {
      const cause = new Error(
        'the answer to its commit was lost, and a run of this id is there, the old one or a new one',
      );
      throw new DurableDatabaseError('deleteRun', 1, true, true, cause);
    }
    const hit = await sql.affected(`delete from ${runs.name} where ${this.byId}${scope.text}`, [
      runId,
      ...scope.params,
    ]);
    // What is left of a run that is already gone belongs to no namespace, so a confined store leaves it alone.
    if (hit === 0 && this.scope.namespace !== undefined) return;
    await this.deleteOwned(sql, [runId]);
  }

  /** Delete the checkpoints, waiters and attributes of runs. */
  async deleteOwned(sql: Sql, runIds: readonly string[]): Promise<void> {
    const { checkpoints, waiters, attributes } = this.tables;
    const placeholders = runIds.map(() => '?').join(', ');
    for (const table of [checkpoints, waiters, attributes]) {
      await sql.run(`delete from ${table.name} where ${table.column('runId')} in (${placeholders})`, runIds);
    }
  }

  private async exists(sql: Sql, runId: string, { text, params }: Condition = UNRESTRICTED): Promise<boolean> {
    const { runs } = this.tables;
    const scope = this.scope.runs();
    const select = `select 1 from ${runs.name} where ${this.byId}${scope.text}${text}${sql.dialect.asCommitted}`;
    const found = await sql.rows(select, [runId, ...scope.params, ...params]);
    return found.length > 0;
  }
}
