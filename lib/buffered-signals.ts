import type { Dialect } from './dialect';
import { checkSignalToken } from './events';
import { retake, takeOrLook } from './retake';
import type { Param, Row, Sql } from './session';
import type { Tables } from './tables';
import { perCount, repeated } from './texts';

/** What a taker of a signal receives. */
export interface Taken {
  readonly payload: unknown;
}

/** Transactions that take signals of one token at a time, over all processes: beyond them the next taker waits. */
const MOST_TAKERS = 128;

/** Statements on buffered signals: rows of the signal buffer that have no event id. */
export class BufferedSignals {
  private readonly appendText: (count: number) => string;
  private removeText: ((count: number) => string) | undefined;
  private returned: string | undefined;

  constructor(private readonly tables: Tables) {
    const { buffer } = tables;
    const append = `insert into ${buffer.name} (${buffer.column('token')}, ${buffer.column('payload')}) values `;
    this.appendText = perCount((count) => append + repeated('(?, ?)', count));
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

  /** Whether signals are read before they are deleted: the database cannot return what it deletes, or not say whether that can be read. */
  looksFirst(dialect: Dialect): boolean {
    return !dialect.returning || this.tables.buffer.isEncoded;
  }

  /**
   * Remove the oldest buffered signal of `token` and return its payload; null only when there was none. One that cannot be read
   * stays, and stays the oldest: those behind it would come out of order. Needs a transaction where it {@link looksFirst}.
   *
   * @throws DurableRowError
   */
  takeOldest(sql: Sql, token: string): Promise<Taken | null> {
    if (this.looksFirst(sql.dialect)) return this.lockAndTake(sql, token);
    const look = async () => {
      const outcome = await this.lookAndTake(sql, token);
      return outcome === 'present' ? 'contended' : outcome;
    };
    return takeOrLook(
      () => this.takeAtOnce(sql, token),
      () => retake(look),
    );
  }

  /**
   * The same for a caller that is probably alone, in one statement where nothing is buffered and never in a transaction.
   * `'present'`: somebody else was first; {@link takeOldest} tells whether more is buffered.
   */
  async takeAlone(sql: Sql, token: string): Promise<Taken | null | 'present'> {
    return this.looksFirst(sql.dialect) ? this.lookAndTake(sql, token) : this.takeOldest(sql, token);
  }

  private async takeAtOnce(sql: Sql, token: string): Promise<Taken | null> {
    const { buffer } = this.tables;
    switch (sql.dialect.takeOldest) {
      case 'delete-limit':
        return this.takenOrNull(await sql.rows(`delete ${this.oldest()} returning ${this.returning(sql)}`, [token]));
      case 'delete-subquery': {
        const oldest = `${buffer.column('id')} = (${this.oldestId('?')})`;
        const text = `delete from ${buffer.name} where ${oldest} returning ${this.returning(sql)}`;
        return this.takenOrNull(await sql.rows(text, [token]));
      }
      default:
        return retake(async () => {
          const [row] = await sql.rows(this.deleteLocked(sql), [token, token]);
          if (!row) return null;
          return row.taken ? this.taken(row) : 'contended';
        });
    }
  }

  private async lookAndTake(sql: Sql, token: string): Promise<Taken | null | 'present'> {
    const [row] = await sql.rows(this.selectOldest(), [token]);
    if (!row) return null;
    const taken = this.taken(row);
    return (await this.delete(sql, [row.id as Param])) === 1 ? taken : 'present';
  }

  private async lockAndTake(sql: Sql, token: string): Promise<Taken | null> {
    await this.beginToWrite(sql);
    let goneId: number | undefined;
    return retake(async () => {
      const ids = await this.oldestIds(sql, token);
      const [oldestId] = ids;
      if (oldestId === undefined) return null;
      // A caller's transaction may go on seeing what is gone; what is there now only a lock sees.
      const seesPast = oldestId === goneId;
      const row = seesPast
        ? await this.lockSeen(sql, token)
        : await this.lockOldestOf(sql, ids as [number, ...number[]]);
      goneId = oldestId;
      if (!row) return seesPast ? null : 'contended';
      const taken = this.taken(row);
      return (await this.delete(sql, [row.id as Param])) === 1 ? taken : null;
    });
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
   * Remove the signals of these ids and return them; `undefined` where somebody else was first, and for what cannot be read where
   * it {@link looksFirst}, which needs a transaction. Otherwise all of them can be read, or it fails and removes nothing.
   */
  async remove(sql: Sql, ids: readonly number[]): Promise<(Taken | undefined)[]> {
    const remove = `delete from ${this.tables.buffer.name} where ${this.tables.buffer.column('id')} in `;
    this.removeText ??= perCount((count) => `${remove}(${repeated('?', count)}) returning ${this.returning(sql)}`);
    const taken = this.looksFirst(sql.dialect)
      ? await this.removeUnlocked(sql, ids)
      : this.readable(await sql.rows(this.removeText(ids.length), ids));
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

  private async removeUnlocked(sql: Sql, ids: readonly number[]): Promise<ReadonlyMap<number, Taken>> {
    const { buffer } = this.tables;
    await this.beginToWrite(sql);
    const among = `${buffer.column('id')} in (${repeated('?', ids.length)})`;
    const text = `select ${buffer.selection} from ${buffer.name} where ${among}${lockFree(sql)}`;
    const taken = this.readable(await sql.rows(text, ids));
    if (taken.size > 0) await this.delete(sql, [...taken.keys()]);
    return taken;
  }

  private readable(rows: readonly Row[]): ReadonlyMap<number, Taken> {
    return new Map(this.tables.buffer.decodeReadable(rows).map(({ id, payload }) => [id, { payload }]));
  }

  /**
   * Lock the first of these signals that nobody else is taking, for whoever waits for the oldest of all stands in a crowd; wait for
   * the others' only where there is no other. A signal whose taker dies meanwhile comes after those that were taken past it.
   *
   * By id: a server that puts a token's signals in order first locks them all, and others would pass over what nobody takes.
   */
  private async lockOldestOf(sql: Sql, ids: readonly [number, ...number[]]): Promise<Row | undefined> {
    const [free] = await sql.rows(`${this.selectAmong(ids.length)} limit 1${lockFree(sql)}`, ids);
    if (free) return free;
    const [row] = await sql.rows(this.selectAmong(1) + sql.dialect.forUpdate, [ids[0]]);
    return row;
  }

  private async lockSeen(sql: Sql, token: string): Promise<Row | undefined> {
    const [row] = await sql.rows(this.selectOldest() + sql.dialect.forUpdate, [token]);
    return row;
  }

  /** The ids of the oldest signals of a token: more than others can be taking at a time. */
  private async oldestIds(sql: Sql, token: string): Promise<number[]> {
    const rows = await sql.rows(this.oldestId('?', MOST_TAKERS), [token]);
    return rows.map(({ id }) => Number(id));
  }

  /** Signals by their ids, oldest first. */
  private selectAmong(count: number): string {
    const { buffer } = this.tables;
    const id = buffer.column('id');
    return `select ${buffer.selection} from ${buffer.name} where ${id} in (${repeated('?', count)}) order by ${id}`;
  }

  /** A transaction that reads before it writes cannot get SQLite's write lock while another holds it. */
  private async beginToWrite(sql: Sql): Promise<void> {
    if (sql.dialect.writesFirst) await sql.run(`delete from ${this.tables.buffer.name} where 1 = 0`, []);
  }

  private delete(sql: Sql, ids: readonly Param[]): Promise<number> {
    const { buffer } = this.tables;
    return sql.affected(
      `delete from ${buffer.name} where ${buffer.column('id')} in (${repeated('?', ids.length)})`,
      ids,
    );
  }

  /** What a delete returns of a signal. Built when the dialect is known. */
  private returning({ dialect }: Sql): string {
    this.returned ??= this.tables.buffer.selectionBy({ payload: (column) => dialect.jsonOrFail(column) });
    return this.returned;
  }

  private takenOrNull([row]: readonly Row[]): Taken | null {
    return row ? this.taken(row) : null;
  }

  private taken(row: Row): Taken {
    return { payload: this.tables.buffer.decode(row).payload };
  }

  private selectOldest(): string {
    return `select ${this.tables.buffer.selection} ${this.oldest()}`;
  }

  private oldestId(token: string, count = 1): string {
    return `select ${this.tables.buffer.column('id')} ${this.oldest(token, count)}`;
  }

  private oldest(token = '?', count = 1): string {
    const { buffer } = this.tables;
    // Events have a publishing time, signals none: by it the index gives them in order of arrival. Asking for the absence
    // of the event id instead, or as well, has SQLite walk that column's unique index through every signal there is.
    return (
      `from ${buffer.name} where ${buffer.column('token')} = ${token} and ${buffer.column('publishedAt')} is null ` +
      `order by ${buffer.column('id')} limit ${count}`
    );
  }

  /**
   * PostgreSQL: lock the oldest row, then delete it. When a competitor deletes it first the lock finds nothing, though
   * rows may have come since; the second branch tells that from an empty queue within the same round trip. It is in few
   * words because this is a miss most of the time, and planning it costs more than running it.
   */
  private deleteLocked({ dialect }: Sql): string {
    const { buffer } = this.tables;
    const [id, token, publishedAt] = [buffer.column('id'), buffer.column('token'), buffer.column('publishedAt')];
    const [gone, payload] = ['durable_gone', `${dialect.jsonOrFail(buffer.column('payload'))} as "payload"`];
    return (
      `with ${gone} as (delete from ${buffer.name} where ${id} = (${this.oldestId('?')} for update) returning ${payload}) ` +
      `select "payload", true as taken from ${gone} union all (select null, false from ${buffer.name} ` +
      `where ${token} = ? and ${publishedAt} is null and not exists (select 1 from ${gone}) limit 1)`
    );
  }
}

/** Locks what nobody else has locked, as far as the database can leave out the rest. */
function lockFree({ dialect }: Sql): string {
  return dialect.forUpdateSkipLocked ?? dialect.forUpdate;
}
