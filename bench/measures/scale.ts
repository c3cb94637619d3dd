import { MikroOrmStateStore } from '../../lib';
import { type BenchDatabase, createDatabase, dropDatabase, query } from '../databases';
import { seed } from '../seed/seed';
import { figure, ratio, rotated } from '../stats';
import { createTables, openOrm } from '../subjects/ours';
import { recordPlans } from './explain';
import type { Context, Line, Result } from './measure';
import { addActive, IDLE, LOADED, type ScaleCall } from './scale-calls';

const SMALL = 10_000;
const PRUNED = 1000;
const DAY_MS = 86_400_000;

interface Scaled {
  readonly size: number;
  readonly store: MikroOrmStateStore;
}

/** What the same question costs with few and with many runs in the tables. */
export async function scale(context: Context): Promise<Result> {
  const { place, options } = context;
  const sizes = [SMALL, options.rows];
  const targets: BenchDatabase[] = [];
  const orms: Awaited<ReturnType<typeof openOrm>>[] = [];
  const lines: Line[] = [];
  try {
    const scaled: Scaled[] = [];
    for (const size of sizes) {
      const target = await createDatabase(place, `scale_${size}`);
      targets.push(target);
      await createTables(target);
      await seed(target, size, (done) => context.progress(`scale: ${done} of ${size} runs`));
      const orm = await openOrm(target);
      orms.push(orm);
      scaled.push({ size, store: new MikroOrmStateStore(orm) });
    }
    for (const call of IDLE) lines.push(await compare(context, call, scaled));
    for (const { store } of scaled) await addActive(store);
    for (const call of LOADED) lines.push(await compare(context, call, scaled));
    for (const target of targets) await query(target, QUEUE_AGAIN);
    lines.push(await compare(context, BACKLOG, scaled));
    context.progress('scale: plans');
    const heading = `Query plans with ${options.rows} runs, values shown in place of parameters`;
    await recordPlans(
      targets[1] as BenchDatabase,
      [...IDLE.slice(1), ...LOADED, BACKLOG, ...PRUNES],
      options.out,
      heading,
    );
    for (const call of PRUNES) lines.push(await compare(context, call, scaled, 3, 1));
  } finally {
    for (const orm of orms) await orm.close(true);
    for (const target of targets) await dropDatabase(place, target);
  }
  return {
    measure: 'scale',
    title: `Latency with ${SMALL.toLocaleString('en-US')} and ${options.rows.toLocaleString('en-US')} runs, ten checkpoints each (median)`,
    unit: 'µs',
    higherIsBetter: false,
    columns: sizes.map(String),
    lines,
    notes: [
      'the answer has the same number of rows in both; this library, one caller, in turns',
      '90 % completed, 4 % failed, 2 % cancelled, 4 % suspended; 20 workflows; 2 attributes and 1 tag a run',
    ],
    plot: 'bars',
  };
}

/** What an operator does after a provider's failure, and what every poll then finds. */
const QUEUE_AGAIN = `update durable_workflow_runs set status = 'pending' where status = 'failed'`;
const BACKLOG: ScaleCall = {
  name: 'listPendingRuns, 100 of 4 % of all runs',
  call: (store) => store.listPendingRuns(100),
  rows: 100,
};

/** Policies that remove a thousand runs: those older than a day's end, and those beyond a number. */
const PRUNES: readonly ScaleCall[] = [
  {
    name: 'prune 1,000 by age',
    call: (store) =>
      store.pruneTerminalRuns({ statuses: ['completed'], maxAge: 0 }, Date.UTC(2026, 0, 1) + DAY_MS / 10, PRUNED),
  },
  {
    name: 'prune 1,000 beyond the newest 2,000',
    call: (store) => store.pruneTerminalRuns({ statuses: ['completed'], maxCount: 2000 }, Date.UTC(2026, 0, 1), PRUNED),
  },
  {
    name: 'prune 1,000 of two statuses beyond the newest 200',
    call: (store) =>
      store.pruneTerminalRuns({ statuses: ['completed', 'cancelled'], maxCount: 200 }, Date.UTC(2026, 0, 1), PRUNED),
  },
];

async function compare(
  { options, progress }: Context,
  { name, call, rows }: ScaleCall,
  scaled: readonly Scaled[],
  rounds = options.quick ? 3 : 9,
  count = 10,
): Promise<Line> {
  const micros = new Map(scaled.map(({ size }) => [size, [] as number[]]));
  let n = 0;
  for (let round = -1; round < rounds; round += 1) {
    if (round < 0 && count === 1) continue;
    for (const { size, store } of rotated(scaled, round + 1)) {
      progress(`scale: ${name}, ${size}`);
      const times: number[] = [];
      for (let repeat = 0; repeat < count; repeat += 1) {
        n += 1;
        const start = performance.now();
        const answer = await call(store, n);
        times.push((performance.now() - start) * 1000);
        if (rows !== undefined && (answer as unknown[]).length !== rows) {
          throw new Error(`${name}: ${(answer as unknown[]).length} rows in place of ${rows}`);
        }
        // Three rounds of a question that takes this long tell enough.
        if (times.reduce((sum, time) => sum + time, 0) > 5e6) break;
      }
      if (round >= 0) micros.get(size)?.push(figure(times).median);
    }
  }
  const [small, large] = scaled.map(({ size }) => micros.get(size) ?? []) as [number[], number[]];
  return {
    name,
    figures: Object.fromEntries([...micros].map(([size, values]) => [String(size), figure(values)])),
    ratios: { 'large/small': ratio(large, small) },
  };
}
