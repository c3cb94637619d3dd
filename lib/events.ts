import { WIDTHS } from '../schemas/widths';
import { DurableInputError } from './errors';
import { checkCount, checkEpochMs, checkText } from './limits';
import type { Sql } from './session';
import type { Tables } from './tables';
import type { BufferedEvent } from './types';
import { beyondUnreadable } from './unreadable';

/** What the token of a buffered event begins with; signal tokens that do are refused. */
const EVENT_TOKEN_PREFIX = '\u0001event:';

/** Refuse a signal's token that no column holds, or under which buffered events are kept. */
export function checkSignalToken(token: string, field: string): void {
  checkText(token, field, WIDTHS.token);
  if (!token.startsWith(EVENT_TOKEN_PREFIX)) return;
  throw new DurableInputError('DURABLE_INVALID_TEXT', field, 'begins like the token of a buffered event');
}

/** Statements on buffered events: rows of the signal buffer that have an event id. */
export class Events {
  constructor(private readonly tables: Tables) {}

  /** Keep an event under its own id, once. */
  async buffer(sql: Sql, event: BufferedEvent & { name: string }): Promise<void> {
    const { buffer } = this.tables;
    checkText(event.id, 'event.id', WIDTHS.short);
    checkEpochMs(event.publishedAt, 'event.publishedAt');
    const columns = (['eventId', 'token', 'payload', 'publishedAt'] as const).map((property) =>
      buffer.column(property),
    );
    const [eventId, ...rest] = columns as [string, ...string[]];
    await sql.run(
      `insert into ${buffer.name} (${columns.join(', ')}) values (?, ?, ?, ?)` +
        sql.dialect.replaceConflict([eventId], rest),
      [
        event.id,
        eventToken(event.name),
        buffer.encode('payload', event.payload, 'event.payload'),
        buffer.encode('publishedAt', event.publishedAt),
      ],
    );
  }

  /** The events of a name that can be read, oldest first, left where they are. */
  async list(sql: Sql, name: string, limit: number): Promise<BufferedEvent[]> {
    const { buffer } = this.tables;
    checkCount(limit, 'limit');
    const token = eventToken(name);
    if (limit === 0) return [];
    const eventId = buffer.column('eventId');
    const text =
      `select ${buffer.selection} from ${buffer.name} where ${buffer.column('token')} = ? and ${eventId} is not null ` +
      `order by ${buffer.column('publishedAt')}, ${sql.dialect.bytewise(eventId)} limit ?`;
    const events = await beyondUnreadable(
      limit,
      (count) => sql.rows(text, [token, count]),
      (rows) => buffer.decodeReadable(rows),
    );
    return events.map(({ eventId: id, payload, publishedAt }) => {
      return { id: id as string, payload, publishedAt: publishedAt as number };
    });
  }

  /** Delete an event; true for the one caller that deleted it. */
  async remove(sql: Sql, id: string): Promise<boolean> {
    const { buffer } = this.tables;
    return (await sql.affected(`delete from ${buffer.name} where ${buffer.column('eventId')} = ?`, [id])) === 1;
  }
}

function eventToken(name: string): string {
  checkText(name, 'event.name', WIDTHS.short);
  return EVENT_TOKEN_PREFIX + name;
}
