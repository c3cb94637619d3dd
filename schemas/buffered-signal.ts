import type { TableDefinition } from './definition';
import { WIDTHS } from './widths';

/**
 * A row of `durable_buffered_signals`: a signal or event that came before anybody waited for it. `id` is the order of
 * arrival. A row is an event when it has an `eventId`; its `token` then stands for the event's name.
 */
export interface BufferedSignalRow {
  id: number;
  token: string;
  payload?: unknown;
  eventId?: string | null;
  publishedAt?: number | null;
}

export const bufferedSignal: TableDefinition<BufferedSignalRow> = {
  name: 'DurableBufferedSignal',
  table: 'durable_buffered_signals',
  columns: ({ key, payload, epochMs, serial }) => ({
    id: serial(),
    token: key(WIDTHS.token),
    payload: payload(),
    eventId: key(WIDTHS.short, { nullable: true }),
    publishedAt: epochMs(),
  }),
  indexes: [
    // The oldest signal of a token (no publishing time), and the events of a name in publishing order.
    // A token of full width leaves no room beside it in InnoDB's 3,072 bytes.
    {
      name: 'durable_buffered_signals_token_idx',
      properties: ['token', 'publishedAt'],
      thenKey: ['id'],
      on: { mysql: { keys: ({ token }) => [token as string] } },
    },
  ],
  // Which consumer claims an event is decided by deleting this one row.
  uniques: [{ name: 'durable_buffered_signals_event_id_unique', properties: ['eventId'] }],
};
