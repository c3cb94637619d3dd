import { MikroOrmStateStore } from '../../lib';
import { createDatabase, dropDatabase, openSession, type Place } from '../databases';
import { type Figure, figure, percentile } from '../stats';
import { createTables, openOrm } from '../subjects/ours';
import type { Context, Line, Result } from './measure';

const HOST_TABLES = 1000;
const STORES = 2000;
const CALLS = 5000;

/** What it takes to start: the schema check beside none and many tables of the host, the store itself, its memory. */
export async function boot(context: Context): Promise<Result[]> {
  const rounds = context.options.quick ? 5 : 41;
  return [await schema(context.place, rounds), await construction(context.place)];
}

async function schema(place: Place, rounds: number): Promise<Result> {
  const target = await createDatabase(place, 'boot');
  try {
    await createTables(target);
    const alone = await ensureTimes(target, rounds);
    const session = openSession(target);
    for (let n = 0; n < HOST_TABLES; n += 1) {
      await session.query(`create table host_${n} (id integer primary key, name varchar(100), parent integer)`);
    }
    await session.close();
    const crowded = await ensureTimes(target, rounds);
    return {
      measure: 'boot-schema',
      title: 'ensureSchema of an up-to-date database',
      unit: 'µs',
      higherIsBetter: false,
      columns: ['no host tables', `${HOST_TABLES} host tables`],
      lines: [
        {
          name: 'ensureSchema',
          figures: { 'no host tables': alone, [`${HOST_TABLES} host tables`]: crowded },
          ratios: {
            'many/none': {
              median: crowded.median / alone.median,
              low: crowded.low / alone.low,
              high: crowded.high / alone.high,
            },
          },
        },
      ],
      notes: [`${rounds} times each`],
      plot: 'none',
    };
  } finally {
    await dropDatabase(place, target);
  }
}

async function ensureTimes(target: Parameters<typeof openOrm>[0], rounds: number): Promise<Figure> {
  const orm = await openOrm(target);
  const store = new MikroOrmStateStore(orm);
  await store.ensureSchema();
  const micros: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    await store.ensureSchema();
    micros.push((performance.now() - start) * 1000);
  }
  await orm.close(true);
  return { median: percentile(micros, 0.5), low: percentile(micros, 0.05), high: percentile(micros, 0.95) };
}

async function construction(place: Place): Promise<Result> {
  const target = await createDatabase(place, 'memory');
  try {
    await createTables(target);
    const orm = await openOrm(target);
    const stores: MikroOrmStateStore[] = [];
    const first = timed(() => stores.push(new MikroOrmStateStore(orm)));
    const before = heap();
    const micros = Array.from({ length: STORES }, () => timed(() => stores.push(new MikroOrmStateStore(orm))));
    const perStore = (heap() - before) / STORES;
    const store = stores[0] as MikroOrmStateStore;
    await store.getRun('warm');
    const perCall = await callMemory(store);
    await orm.close(true);
    return {
      measure: 'boot-store',
      title: 'A store',
      unit: 'µs and bytes',
      higherIsBetter: false,
      columns: ['figure'],
      lines: [
        single('construction, the first (µs)', [first]),
        single('construction, once warm (µs)', micros),
        single('memory of a store (bytes)', [perStore]),
        single('memory of a waiting getRun (bytes)', [perCall]),
      ],
      notes: [`${STORES} stores on one ORM; ${CALLS} calls in flight; heap after a full collection`],
      plot: 'none',
    };
  } finally {
    await dropDatabase(place, target);
  }
}

/** Heap that calls hold while they wait for the database. */
async function callMemory(store: MikroOrmStateStore): Promise<number> {
  const before = heap();
  const calls = Array.from({ length: CALLS }, (_, n) => store.getRun(`none-${n}`));
  const during = heap();
  await Promise.all(calls);
  return (during - before) / CALLS;
}

function heap(): number {
  for (let pass = 0; pass < 3; pass += 1) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function timed(work: () => unknown): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1000;
}

function single(name: string, values: readonly number[]): Line {
  const spread = { median: percentile(values, 0.5), low: percentile(values, 0.05), high: percentile(values, 0.95) };
  return { name, figures: { figure: values.length > 1 ? spread : figure(values) }, ratios: {} };
}
