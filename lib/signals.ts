import { WIDTHS } from '../schemas/widths';
import { DurableInputError } from './errors';
import { EVENT_TOKEN_PREFIX } from './events';
import { checkText, payloadText } from './limits';
import { startsWith } from './prefix';
import { toWaiter, waiterParams } from './rows';
import type { Scope } from './scope';
import type { Param, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';
import type { SignalWaiter } from './types';

/** Tries to take a row that a competitor keeps taking first, before the call gives up its turn. */
const MAX_CONTENDED_TAKES = 100;

/** Statements on signal waiters and buffered signals. */
export class Signals {
  /** Of a waiter; its key, the token, comes first. */
  private readonly columns: readonly string[];
  private readonly takeText: (count: number) => string;
  private readonly putText: (count: number) => string;
  private readonly presentText: (count: number) => string;
  private readonly appendText: (count: number) => string;

  constructor(
    private readonly tables: Tables,
    private readonly scope: Scope,
  ) {
    const { waiters, buffer } = tables;
    const confined = scope.ownedRows(waiters).text;
    const byToken = `delete from ${waiters.name} where ${waiters.column('token')}`;
    this.takeText = perCount(
      (count) => `${byToken} in (${repeated('?', count)})${confined} returning ${waiters.selection}`,
    );
    this.columns = waiters.properties.map((property) => waiters.column(property));
    const row = `(${repeated('?', this.columns.length)})`;
    const put = `insert into ${waiters.name} (${this.columns.join(', ')}) values `;
    this.putText = perCount((count) => put + repeated(row, count));
    const token = buffer.column('token');
    const append = `insert into ${buffer.name} (${token}, ${buffer.column('payload')}) values `;
    this.appendText = perCount((count) => append + repeated('(?, ?)', count));
    const present = `select distinct ${token} as token from ${buffer.name} where ${buffer.column('publishedAt')} is null`;
    this.presentText = perCount((count) => `${present} and ${token} in (${repeated('?', count)})`);
  }

  /** Check a waiter and turn it into the parameters of its row. */
  putParams(waiter: SignalWaiter): Param[] {
    checkToken(waiter.token, 'waiter.token');
    return waiterParams(this.tables.waiters, waiter);
  }

  /** Make waiters on different tokens the ones their tokens wake, in place of any others. */
  async putWaiters(sql: Sql, rows: readonly Param[][]): Promise<void> {
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
  async takeWaiters(sql: Sql, tokens: readonly string[]): Promise<(SignalWaiter | null)[]> {
    const { waiters } = this.tables;
    const rows = await sql.rows(this.takeText(tokens.length), [...tokens, ...this.scope.ownedRows(waiters).params]);
    const taken = new Map(rows.map((row) => [row.token, toWaiter(waiters.decode(row))]));
    return tokens.map((token) => taken.get(token) ?? null);
  }

  /** The same for one token where the database cannot return what it deletes. */
  async takeWaiterByCount(sql: Sql, token: string): Promise<SignalWaiter | null> {
    const { waiters } = this.tables;
    const scope = this.scope.ownedRows(waiters);
    const byToken = `from ${waiters.name} where ${waiters.column('token')} = ?${scope.text}`;
    return this.retake(async () => {
      const [row] = await sql.rows(`select ${waiters.selection} ${byToken}`, [token, ...scope.params]);
      if (!row) return null;
      const waiter = toWaiter(waiters.decode(row));
      return (await this.removeWaiter(sql, waiter)) === 1 ? waiter : 'contended';
    });
  }

  /** The waiters whose token begins with `prefix`; each run's furthest step first. */
  async listWaiters(sql: Sql, prefix: string): Promise<SignalWaiter[]> {
    checkText(prefix, 'prefix');
    const { waiters } = this.tables;
    const range = startsWith(sql.dialect, waiters.column('token'), prefix) ?? { text: '1 = 1', params: [] };
    const scope = this.scope.ownedRows(waiters);
    const order = [
      sql.dialect.bytewise(waiters.column('runId')),
      `${waiters.column('seq')} desc`,
      sql.dialect.bytewise(waiters.column('token')),
    ];
    const rows = await sql.rows(
      `select ${waiters.selection} from ${waiters.name} where ${range.text}${scope.text} order by ${order.join(', ')}`,
      [...range.params, ...scope.params],
    );
    return rows.map((row) => toWaiter(waiters.decode(row)));
  }

  /** Remove exactly this waiter: token, run and step all match. */
  async removeWaiter(sql: Sql, waiter: SignalWaiter): Promise<number> {
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

  /** Check a signal and turn it into the parameters of its row. */
  bufferParams(token: string, payload: unknown): Param[] {
    checkToken(token, 'signal.token');
    return [token, payloadText(payload, 'signal.payload')];
  }

  /** Append signals, in order, for whoever waits on their tokens next. */
  async buffer(sql: Sql, rows: readonly (readonly Param[])[]): Promise<void> {
    await sql.run(this.appendText(rows.length), rows.flat());
  }

  /** Remove the oldest buffered signal of `token` and return its payload; null only when there was none. */
  async takeBuffered(sql: Sql, token: string): Promise<{ payload: unknown } | null> {
    const { buffer } = this.tables;
    const payload = (raw: Record<string, unknown>) => ({ payload: buffer.decode({ payload: raw.payload }).payload });
    switch (sql.dialect.takeOldest) {
      case 'delete-limit': {
        const [row] = await sql.rows(`delete ${this.oldest()} returning ${buffer.selection}`, [token]);
        return row ? payload(row) : null;
      }
      case 'delete-subquery': {
        const id = buffer.column('id');
        const text = `delete from ${buffer.name} where ${id} = (select ${id} ${this.oldest()}) returning ${buffer.selection}`;
        const [row] = await sql.rows(text, [token]);
        return row ? payload(row) : null;
      }
      case 'delete-locked':
        return this.retake(async () => {
          const [row] = await sql.rows(this.takeLocked(), [token, token]);
          if (!row) return null;
          return row.taken ? payload(row) : 'contended';
        });
      case 'select-delete':
        return this.retake(async () => {
          const [row] = await sql.rows(`select ${buffer.selection} ${this.oldest()}`, [token]);
          if (!row) return null;
          const mine = await sql.affected(`delete from ${buffer.name} where ${buffer.column('id')} = ?`, [
            row.id as Param,
          ]);
          return mine === 1 ? payload(row) : 'contended';
        });
    }
  }

  /** Of tokens that several callers ask for at once: null where nothing is buffered, `'present'` where something was. */
  async lookForBuffered(sql: Sql, tokens: readonly string[]): Promise<(null | 'present')[]> {
    const rows = await sql.rows(this.presentText(tokens.length), tokens);
    const present = new Set(rows.map(({ token }) => token));
    return tokens.map((token) => (present.has(token) ? 'present' : null));
  }

  /** Drop the completions that `runIds` left for parents that never asked. */
  async dropCompletions(sql: Sql, runIds: readonly string[]): Promise<void> {
    const { buffer } = this.tables;
    const tokens = runIds.map((runId) => `child:${runId}`);
    await sql.run(
      `delete from ${buffer.name} where ${buffer.column('token')} in (${tokens.map(() => '?').join(', ')}) ` +
        `and ${buffer.column('publishedAt')} is null`,
      tokens,
    );
  }

  private oldest(): string {
    const { buffer } = this.tables;
    // Events have a publishing time, signals none: by it the index gives them in order of arrival. Asking for the absence
    // of the event id instead, or as well, has SQLite walk that column's unique index through every signal there is.
    return (
      `from ${buffer.name} where ${buffer.column('token')} = ? and ${buffer.column('publishedAt')} is null ` +
      `order by ${buffer.column('id')} limit 1`
    );
  }

  /**
   * PostgreSQL: lock the oldest row, then delete it. When a competitor deletes it first the lock finds nothing, though
   * rows may have come since; the second branch tells that from an empty queue within the same round trip.
   */
  private takeLocked(): string {
    const { buffer } = this.tables;
    const id = buffer.column('id');
    return (
      `with oldest as (select ${id} ${this.oldest()} for update), ` +
      `gone as (delete from ${buffer.name} where ${id} in (select ${id} from oldest) returning ${buffer.selection}) ` +
      `select "payload", true as taken from gone union all ` +
      `select null, false where not exists (select 1 from gone) and exists (select 1 ${this.oldest()})`
    );
  }

  private async retake<T>(attempt: () => Promise<T | null | 'contended'>): Promise<T | null> {
    for (let tries = 0; tries < MAX_CONTENDED_TAKES; tries += 1) {
      const outcome = await attempt();
      if (outcome !== 'contended') return outcome;
    }
    throw new Error(`a row was taken by somebody else ${MAX_CONTENDED_TAKES} times in a row`);
  }
}

/** Refuse what no column holds, and the tokens under which buffered events are kept. */
function checkToken(token: string, field: string): void {
  checkText(token, field, WIDTHS.token);
  if (!token.startsWith(EVENT_TOKEN_PREFIX)) return;
  throw new DurableInputError('DURABLE_INVALID_TEXT', field, 'begins like the token of a buffered event');
}
