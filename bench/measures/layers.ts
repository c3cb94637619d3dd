import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { callNamed } from '../calls';
import { createDatabase, dropDatabase } from '../databases';
import { figure, rotated } from '../stats';
import { openBare } from '../subjects/bare';
import { createTables, openOrm } from '../subjects/ours';
import type { Context, Line, Result } from './measure';
import { freshScope, median } from './rounds';

/** What MikroORM 6 has under its EntityManager. */
interface SqlConnection {
  execute(sql: string, params: readonly unknown[], method: 'all'): Promise<unknown>;
  getKnex(): Knex;
}

interface Knex {
  raw(sql: string): Promise<unknown>;
  readonly client: { acquireConnection(): Promise<RawClient>; releaseConnection(client: RawClient): Promise<void> };
}

/** A connection of `better-sqlite3`, `pg` or `mariadb`. */
interface RawClient {
  prepare?(sql: string): { all(): unknown };
  query?(sql: string, done: (error: Error | null, rows: unknown) => void): void;
}

type Layers = Record<string, (n: number) => Promise<unknown>>;

/** Where the time of one read goes, from the driver to the store. */
export async function layers(context: Context): Promise<Result> {
  const [rounds, count] = context.options.quick ? [3, 40] : [11, 150];
  const call = callNamed('getRun');
  const target = await createDatabase(context.place, 'layers');
  await createTables(target);
  const bare = await openBare(target);
  const sent: { sql: string; params: readonly unknown[] }[] = [];
  const orm = await openOrm(target, {
    onQuery: (sql: string, params: readonly unknown[]) => {
      sent.push({ sql, params });
      return sql;
    },
  });
  try {
    const store = new MikroOrmStateStore(orm);
    const scope = freshScope();
    await call.prepare?.(store, scope, count);
    sent.length = 0;
    await call.call(store, scope, 0);
    const [statement] = sent as [{ sql: string; params: readonly unknown[] }];
    const measured = {
      'driver, prepared': (n: number) => call.call(bare.store, scope, n),
      ...(await below(orm, statement.sql, orm.em.getPlatform().formatQuery(statement.sql, [...statement.params]))),
      'this library': (n: number) => call.call(store, scope, n),
    };
    return result(await timed(measured, rounds, count), rounds, count);
  } finally {
    await bare.close();
    await orm.close(true);
    await dropDatabase(context.place, target);
  }
}

/** The same statement at each layer that the store's call passes through. */
async function below(orm: MikroORM, sql: string, text: string): Promise<Layers> {
  const connection = orm.em.getConnection('write') as unknown as SqlConnection;
  const knex = connection.getKnex();
  const client = await knex.client.acquireConnection();
  await knex.client.releaseConnection(client);
  const query = client.query?.bind(client);
  const id = /'([^']*)'/.exec(text)?.[1] as string;
  return {
    'driver, text': async () =>
      query
        ? new Promise((resolve, reject) => query(text, (error, rows) => (error ? reject(error) : resolve(rows))))
        : client.prepare?.(text).all(),
    knex: () => knex.raw(text),
    MikroORM: () => connection.execute(sql, [id], 'all'),
  };
}

async function timed(layers: Layers, rounds: number, count: number): Promise<Line> {
  const medians = new Map(Object.keys(layers).map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round += 1) {
    for (const [name, call] of rotated(Object.entries(layers), round + 1)) {
      const micros: number[] = [];
      for (let n = 0; n < count; n += 1) {
        const start = process.hrtime.bigint();
        await call(n);
        micros.push(Number(process.hrtime.bigint() - start) / 1000);
      }
      if (round >= 0) medians.get(name)?.push(median(micros));
    }
  }
  return {
    name: 'getRun',
    figures: Object.fromEntries([...medians].map(([name, values]) => [name, figure(values)])),
    ratios: {},
  };
}

function result(line: Line, rounds: number, count: number): Result {
  return {
    measure: 'layers',
    title: 'Where the time of one getRun goes: the same statement at each layer (median)',
    unit: 'µs',
    higherIsBetter: false,
    columns: Object.keys(line.figures),
    lines: [line],
    notes: [
      `${rounds} rounds of ${count} calls at each layer, in turns; each layer contains the ones before it, except the prepared one`,
    ],
    plot: 'none',
  };
}
