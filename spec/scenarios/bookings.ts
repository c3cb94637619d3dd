import type { MikroORM } from '@mikro-orm/core';
import { type SqlEm, sql } from '../support/databases';
import { type Counts, countsOf } from './ledger';

/** The business: written by `ctx.transaction` alone, and without a key that would refuse a second booking. */
export async function createBookings(orm: MikroORM): Promise<void> {
  await sql(orm).execute('create table scenario_bookings (effect varchar(200) not null)', [], 'run');
}

/** Write an effect down in the transaction that `raw` is in. */
export async function book(raw: unknown, effect: string): Promise<void> {
  await (raw as SqlEm).execute('insert into scenario_bookings (effect) values (?)', [effect], 'run');
}

/** How often each effect is written down. */
export async function booked(orm: MikroORM): Promise<Counts> {
  const rows = await sql(orm).execute<{ effect: string }[]>('select effect from scenario_bookings');
  return countsOf(rows.map(({ effect }) => effect));
}
