import type { Dialect } from './dialect';
import { checkSignalToken } from './events';
import { checkText } from './limits';
import { startsWith } from './prefix';
import { stepCompleted } from './progress';
import type { Question } from './questions';
import { retake, takeOrLook } from './retake';
import { toWaiter, waiterParams } from './rows';
import type { Scope } from './scope';
import type { Param, Row, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import type { SignalWaiter } from './types';

/** Statements on signal waiters. */
export class Waiters {
  /** The key, the token, comes first. */
  private readonly columns: readonly string[];
  private takeText: ((count: number) => string) | undefined;
  private readonly insert: string;
  /** That the step of a stored waiter is not completed, as a condition to append. */
  private readonly open: string;
  private readonly putNamed: (count: number) => string;
  private readonly putEach: (count: number) => string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { waiters } = tables;
    const stored = (property: 'runId' | 'seq') => `${waiters.name}.${waiters.column(property)}`;
    this.open = ` and not ${stepCompleted(tables, stored('runId'), stored('seq'))}`;
    this.columns = waiters.properties.map((property) => waiters.column(property));
    this.insert = `insert into ${waiters.name} (${this.columns.join(', ')}) `;
    const row = repeated('?', this.columns.length);
    const one = `select ${row} from (select 1 as one) as one where not ${stepCompleted(tables, '?', '?')}`;
    this.putEach = perCount((count) => this.insert + repeated(one, count, ' union all '));
    const named = (property: 'runId' | 'seq') => `added.${waiters.column(property)}`;
    const unless = stepCompleted(tables, named('runId'), named('seq'));
    this.putNamed = perCount(
      (count) =>
        `${this.insert}select * from (values ${repeated(`(${row})`, count)}) as added(${this.columns.join(', ')}) where not ${unless}`,
    );
  }

  /** Check a waiter and turn it into the parameters of its row. */
  params(waiter: SignalWaiter): Param[] {
    checkSignalToken(waiter.token, 'waiter.token');
    return waiterParams(this.tables.waiters, waiter);
  }

  /** Make waiters on different tokens the ones their tokens wake, in place of any others, unless their steps are completed. */
  async put(sql: Sql, rows: readonly Param[][]): Promise<void> {
    const [token, ...rest] = this.columns as [string, ...string[]];
    // Once in doubt: whoever has put its waiter on the token since keeps it.
    const conflict = sql.inDoubt ? sql.dialect.ignoreConflict([token]) : sql.dialect.replaceConflict([token], rest);
    if (sql.dialect.namesRows) await sql.run(this.putNamed(rows.length) + conflict, rows.flat());
    else
      await sql.run(
        this.putEach(rows.length) + conflict,
        rows.flatMap((row) => [...row, ...this.stepOf(row)]),
      );
  }

  /** The same for a waiter of a run of the namespace, unless a run of another namespace waits on its token. */
  async putConfined(sql: Sql, runId: string, row: readonly Param[]): Promise<void> {
    const { waiters } = this.tables;
    const [token, ...rest] = this.columns as [string, ...string[]];
    const guard = this.scope.newRow(runId);
    const owner = this.scope.replacedRow(waiters);
    const conflict = sql.inDoubt
      ? { text: sql.dialect.ignoreConflict([token]), times: 0 }
      : sql.dialect.replaceConflictIf([token], rest, owner.text);
    const owners = Array.from({ length: conflict.times }, () => owner.params).flat();
    const values = `select ${repeated('?', this.columns.length)}${guard.text} and not ${stepCompleted(this.tables, '?', '?')}`;
    await sql.run(this.insert + values + conflict.text, [...row, ...guard.params, ...this.stepOf(row), ...owners]);
  }

  /**
   * Remove the waiters on different tokens and return them. Of any number of callers one receives each. All of them can be
   * read, or nothing is removed.
   */
  async take(sql: Sql, tokens: readonly string[]): Promise<(SignalWaiter | null)[]> {
    const [token, ...others] = tokens as [string, ...string[]];
    if (others.length > 0) return this.takeAtOnce(sql, tokens);
    const look = async () => {
      const outcome = await this.takeByCount(sql, token);
      return outcome === 'present' ? 'contended' : outcome;
    };
    return takeOrLook(
      () => this.takeAtOnce(sql, tokens),
      async () => [await retake(look)],
    );
  }

  private async takeAtOnce(sql: Sql, tokens: readonly string[]): Promise<(SignalWaiter | null)[]> {
    const { waiters } = this.tables;
    const scope = this.scope.ownedRows(waiters);
    this.takeText ??= perCount((count) => {
      const returned = waiters.selectionBy({ seq: (column) => sql.dialect.numberOrFail(column) });
      const among = `${waiters.column('token')} in (${repeated('?', count)})`;
      return `delete from ${waiters.name} where ${among}${scope.text}${this.open} returning ${returned}`;
    });
    const rows = await sql.rows(this.takeText(tokens.length), [...tokens, ...scope.params]);
    const taken = new Map(rows.map((row) => [row.token, toWaiter(waiters.decode(row))]));
    return tokens.map((token) => taken.get(token) ?? null);
  }

  /**
   * The same for one token where the database cannot return what it deletes; never in a transaction. `'present'`: somebody else
   * was first; {@link takeLocked} tells whether another has come.
   */
  async takeByCount(sql: Sql, token: string): Promise<SignalWaiter | null | 'present'> {
    const waiter = await this.find(sql, token);
    if (!waiter) return null;
    return (await this.remove(sql, waiter)) === 1 ? waiter : 'present';
  }

  /** The same in a transaction, in which nobody else can be first. */
  async takeLocked(sql: Sql, token: string): Promise<SignalWaiter | null> {
    const waiter = await this.find(sql, token, sql.dialect.forUpdate);
    if (waiter) await this.remove(sql, waiter);
    return waiter;
  }

  private async find(sql: Sql, token: string, lock = ''): Promise<SignalWaiter | null> {
    const { waiters } = this.tables;
    const scope = this.scope.ownedRows(waiters);
    const byToken = `from ${waiters.name} where ${waiters.column('token')} = ?${scope.text}${this.open}`;
    const [row] = await sql.rows(`select ${waiters.selection} ${byToken}${lock}`, [token, ...scope.params]);
    return row ? toWaiter(waiters.decode(row)) : null;
  }

  /** The waiters whose token begins with `prefix`; each run's furthest step first. */
  list(dialect: Dialect, prefix: string): Question {
    checkText(prefix, 'prefix');
    const { waiters } = this.tables;
    const range = startsWith(dialect, waiters.column('token'), prefix) ?? { text: '1 = 1', params: [] };
    const scope = this.scope.ownedRows(waiters);
    const order = [
      dialect.bytewise(waiters.column('runId')),
      `${waiters.column('seq')} desc`,
      dialect.bytewise(waiters.column('token')),
    ];
    return {
      text: `select ${waiters.selection} from ${waiters.name} where ${range.text}${scope.text}${this.open} order by ${order.join(', ')}`,
      params: [...range.params, ...scope.params],
    };
  }

  /** The run and position among the parameters of a waiter's row. */
  private stepOf(row: readonly Param[]): Param[] {
    const at = (property: 'runId' | 'seq') => row[this.tables.waiters.properties.indexOf(property)] as Param;
    return [at('runId'), at('seq')];
  }

  /** The waiters of an answer that can be read. */
  decode(rows: readonly Row[]): SignalWaiter[] {
    return this.tables.waiters.decodeReadable(rows).map(toWaiter);
  }

  /** Remove exactly this waiter: token, run and step all match. */
  async remove(sql: Sql, waiter: SignalWaiter): Promise<number> {
    const { waiters } = this.tables;
    const scope = this.scope.ownedRows(waiters);
    const same = (['token', 'runId', 'seq'] as const).map((property) => `${waiters.column(property)} = ?`);
    return sql.affected(`delete from ${waiters.name} where ${same.join(' and ')}${scope.text}`, [
      waiter.token,
      waiter.runId,
      waiter.seq,
      ...scope.params,
    ]);
  }
}
