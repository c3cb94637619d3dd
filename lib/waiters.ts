import type { Dialect } from './dialect';
import { checkSignalToken } from './events';
import { checkText } from './limits';
import { startsWith } from './prefix';
import type { Question } from './questions';
import { retake } from './retake';
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
  private readonly takeText: (count: number) => string;
  private readonly putText: (count: number) => string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { waiters } = tables;
    const confined = scope.ownedRows(waiters).text;
    const byToken = `delete from ${waiters.name} where ${waiters.column('token')}`;
    this.takeText = perCount(
      (count) => `${byToken} in (${repeated('?', count)})${confined} returning ${waiters.selection}`,
    );
    this.columns = waiters.properties.map((property) => waiters.column(property));
    const row = `(${repeated('?', this.columns.length)})`;
    const put = `insert into ${waiters.name} (${this.columns.join(', ')}) values `;
    this.putText = perCount((count) => put + repeated(row, count));
  }

  /** Check a waiter and turn it into the parameters of its row. */
  params(waiter: SignalWaiter): Param[] {
    checkSignalToken(waiter.token, 'waiter.token');
    return waiterParams(this.tables.waiters, waiter);
  }

  /** Make waiters on different tokens the ones their tokens wake, in place of any others. */
  async put(sql: Sql, rows: readonly Param[][]): Promise<void> {
    const [token, ...rest] = this.columns as [string, ...string[]];
    await sql.run(this.putText(rows.length) + sql.dialect.replaceConflict([token], rest), rows.flat());
  }

  /** Make a waiter of a run of the namespace the one its token wakes, unless a run of another namespace waits on it. */
  async putConfined(sql: Sql, runId: string, row: readonly Param[]): Promise<void> {
    const { waiters } = this.tables;
    const [token, ...rest] = this.columns as [string, ...string[]];
    const guard = this.scope.newRow(runId);
    const owner = this.scope.replacedRow(waiters);
    const conflict = sql.dialect.replaceConflictIf([token], rest, owner.text);
    const owners = Array.from({ length: conflict.times }, () => owner.params).flat();
    const values = repeated('?', this.columns.length);
    await sql.run(
      `insert into ${waiters.name} (${this.columns.join(', ')}) select ${values}${guard.text}${conflict.text}`,
      [...row, ...guard.params, ...owners],
    );
  }

  /** Remove the waiters on different tokens and return them. Of any number of callers one receives each. */
  async take(sql: Sql, tokens: readonly string[]): Promise<(SignalWaiter | null)[]> {
    const { waiters } = this.tables;
    const rows = await sql.rows(this.takeText(tokens.length), [...tokens, ...this.scope.ownedRows(waiters).params]);
    const taken = new Map(rows.map((row) => [row.token, toWaiter(waiters.decode(row))]));
    return tokens.map((token) => taken.get(token) ?? null);
  }

  /** The same for one token where the database cannot return what it deletes. */
  async takeByCount(sql: Sql, token: string): Promise<SignalWaiter | null> {
    const { waiters } = this.tables;
    const scope = this.scope.ownedRows(waiters);
    const byToken = `from ${waiters.name} where ${waiters.column('token')} = ?${scope.text}`;
    return retake(async (again) => {
      const lock = again ? sql.dialect.forUpdate : '';
      const [row] = await sql.rows(`select ${waiters.selection} ${byToken}${lock}`, [token, ...scope.params]);
      if (!row) return null;
      const waiter = toWaiter(waiters.decode(row));
      return (await this.remove(sql, waiter)) === 1 ? waiter : 'contended';
    });
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
      text: `select ${waiters.selection} from ${waiters.name} where ${range.text}${scope.text} order by ${order.join(', ')}`,
      params: [...range.params, ...scope.params],
    };
  }

  /** The waiters of an answer. */
  decode(rows: readonly Row[]): SignalWaiter[] {
    return rows.map((row) => toWaiter(this.tables.waiters.decode(row)));
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
