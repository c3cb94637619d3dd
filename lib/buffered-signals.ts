import { checkSignalToken } from './events';
import { retake } from './retake';
import type { Param, Row, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';

/** What a taker of a signal receives. */
export interface Taken {
  readonly payload: unknown;
}

/** Statements on buffered signals: rows of the signal buffer that have no event id. */
export class BufferedSignals {
  private readonly appendText: (count: number) => string;
  private readonly removeText: (count: number) => string;

  constructor(private readonly tables: Tables) {
    const { buffer } = tables;
    const append = `insert into ${buffer.name} (${buffer.column('token')}, ${buffer.column('payload')}) values `;
    this.appendText = perCount((count) => append + repeated('(?, ?)', count));
    const remove = `delete from ${buffer.name} where ${buffer.column('id')} in `;
    this.removeText = perCount((count) => `${remove}(${repeated('?', count)}) returning ${buffer.selection}`);
  }

  /** Check a signal and turn it into the parameters of its row. */
  params(token: string, payload: unknown): Param[] {
    checkSignalToken(token, 'signal.token');
    return [token, this.tables.buffer.encode('payload', payload, 'signal.payload')];
  }

  /** Append signals, in order, for whoever waits on their tokens next. */
  async append(sql: Sql, rows: readonly (readonly Param[])[]): Promise<void> {
    await sql.run(this.appendText(rows.length), rows.flat());
  }

  /**
   * Remove the oldest buffered signal of `token` and return its payload; null only when there was none. Needs a transaction where
   * the database cannot return what it deletes.
   */
  async takeOldest(sql: Sql, token: string): Promise<Taken | null> {
    const { buffer } = this.tables;
    switch (sql.dialect.takeOldest) {
      case 'delete-limit': {
        const [row] = await sql.rows(`delete ${this.oldest()} returning ${buffer.selection}`, [token]);
        return row ? this.taken(row) : null;
      }
      case 'delete-subquery': {
        const id = buffer.column('id');
        const text = `delete from ${buffer.name} where ${id} = (select ${id} ${this.oldest()}) returning ${buffer.selection}`;
        const [row] = await sql.rows(text, [token]);
        return row ? this.taken(row) : null;
      }
      case 'delete-locked':
        return retake(async () => {
          const [row] = await sql.rows(this.deleteLocked(), [token, token]);
          if (!row) return null;
          return row.taken ? this.taken(row) : 'contended';
        });
      case 'lock-delete': {
        const row = await this.lockOldest(sql, token);
        if (row) await this.delete(sql, [row.id as Param]);
        return row ? this.taken(row) : null;
      }
    }
  }

  /**
   * The same for a caller that is probably alone, in one statement where nothing is buffered and never in a transaction.
   * `'present'`: somebody else was first; {@link takeOldest} tells whether more is buffered.
   */
  async takeAlone(sql: Sql, token: string): Promise<Taken | null | 'present'> {
    if (sql.dialect.returning) return this.takeOldest(sql, token);
    const [row] = await sql.rows(this.selectOldest(), [token]);
    if (!row) return null;
    return (await this.delete(sql, [row.id as Param])) === 1 ? this.taken(row) : 'present';
  }

  /** The ids of the oldest signals of different tokens, left in place; `undefined` where nothing is buffered. */
  async oldestOf(sql: Sql, tokens: readonly string[]): Promise<(number | undefined)[]> {
    const rows = await sql.rows(
      sql.dialect.askEach(tokens.length, (token) => this.oldestId(token)),
      tokens,
    );
    const ids = new Map(rows.map(({ n, answer }) => [Number(n), answer]));
    return tokens.map((_, n) => (ids.get(n) === null ? undefined : Number(ids.get(n))));
  }

  /**
   * Remove the signals of these ids and return them; `undefined` where somebody else was first. Needs a transaction where
   * the database cannot return what it deletes.
   */
  async remove(sql: Sql, ids: readonly number[]): Promise<(Taken | undefined)[]> {
    const rows = sql.dialect.returning
      ? await sql.rows(this.removeText(ids.length), ids)
      : await this.removeUnlocked(sql, ids);
    const taken = new Map(rows.map((row) => [Number(row.id), this.taken(row)]));
    return ids.map((id) => taken.get(id));
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

  private async removeUnlocked(sql: Sql, ids: readonly number[]): Promise<Row[]> {
    const { buffer } = this.tables;
    const among = `${buffer.column('id')} in (${repeated('?', ids.length)})`;
    const text = `select ${buffer.selection} from ${buffer.name} where ${among}${sql.dialect.forUpdateSkipLocked}`;
    const rows = await sql.rows(text, ids);
    if (rows.length > 0)
      await this.delete(
        sql,
        rows.map(({ id }) => id as Param),
      );
    return rows;
  }

  /**
   * Lock the oldest signal that nobody else is taking, for whoever waits for the oldest of all stands in a crowd; wait for the others'
   * only where there is no other. A signal whose taker dies meanwhile comes after those that were taken past it.
   */
  private async lockOldest(sql: Sql, token: string): Promise<Row | undefined> {
    const { forUpdate, forUpdateSkipLocked } = sql.dialect;
    const [free] = await sql.rows(`${this.selectOldest()}${forUpdateSkipLocked}`, [token]);
    if (free) return free;
    const [row] = await sql.rows(`${this.selectOldest()}${forUpdate}`, [token]);
    return row;
  }

  private delete(sql: Sql, ids: readonly Param[]): Promise<number> {
    const { buffer } = this.tables;
    return sql.affected(
      `delete from ${buffer.name} where ${buffer.column('id')} in (${repeated('?', ids.length)})`,
      ids,
    );
  }

  private taken({ payload }: Row): Taken {
    return { payload: this.tables.buffer.decode({ payload }).payload };
  }

  private selectOldest(): string {
    return `select ${this.tables.buffer.selection} ${this.oldest()}`;
  }

  private oldestId(token: string): string {
    return `select ${this.tables.buffer.column('id')} ${this.oldest(token)}`;
  }

  private oldest(token = '?'): string {
    const { buffer } = this.tables;
    // Events have a publishing time, signals none: by it the index gives them in order of arrival. Asking for the absence
    // of the event id instead, or as well, has SQLite walk that column's unique index through every signal there is.
    return (
      `from ${buffer.name} where ${buffer.column('token')} = ${token} and ${buffer.column('publishedAt')} is null ` +
      `order by ${buffer.column('id')} limit 1`
    );
  }

  /**
   * PostgreSQL: lock the oldest row, then delete it. When a competitor deletes it first the lock finds nothing, though
   * rows may have come since; the second branch tells that from an empty queue within the same round trip. It is in few
   * words because this is a miss most of the time, and planning it costs more than running it.
   */
  private deleteLocked(): string {
    const { buffer } = this.tables;
    const [id, token, publishedAt] = [buffer.column('id'), buffer.column('token'), buffer.column('publishedAt')];
    const [gone, payload] = ['durable_gone', buffer.select('payload')];
    return (
      `with ${gone} as (delete from ${buffer.name} where ${id} = (${this.oldestId('?')} for update) returning ${payload}) ` +
      `select "payload", true as taken from ${gone} union all (select null, false from ${buffer.name} ` +
      `where ${token} = ? and ${publishedAt} is null and not exists (select 1 from ${gone}) limit 1)`
    );
  }
}
