import { Session } from 'node:inspector/promises';
import { type Call, callNamed } from '../calls';
import { createDatabase, dropDatabase } from '../databases';
import { figure } from '../stats';
import { openOurs } from '../subjects/ours';
import type { Subject } from '../subjects/subject';
import type { Context, Line, Result } from './measure';
import { freshScope } from './rounds';

const PROFILED = ['getRun', 'saveCheckpoint new', 'updateRun'] as const;
/** Short enough for statements of some ten microseconds. */
const SAMPLE_EVERY_US = 100;

/** Whose code runs when a sample is taken; the first that matches. */
const OWNERS: readonly (readonly [name: string, matches: (url: string, functionName: string) => boolean])[] = [
  ['this library', (url) => /\/\.tmp\/bench\/(lib|schemas)\//.test(url)],
  ['MikroORM', (url) => url.includes('/@mikro-orm/')],
  ['knex and its pool', (url) => /node_modules\/(knex|tarn|debug)\//.test(url)],
  ['driver', (url) => /node_modules\/(better-sqlite3|pg|pg-\w+|mariadb)\//.test(url)],
  ['waiting for the server', (_, name) => name === '(idle)'],
  ['garbage collection', (_, name) => name === '(garbage collector)'],
  ['SQLite, preparing the statement', (url, name) => url === '' && (name === 'Statement' || name === 'prepare')],
  ['SQLite, running it', (url, name) => url === '' && (name === 'all' || name === 'run' || name === 'iterate')],
];
const OTHER = 'Node and the rest';

interface Profile {
  readonly nodes: readonly { id: number; callFrame: { functionName: string; url: string } }[];
  readonly samples?: readonly number[];
}

/** Whose code the time of a call goes to, one caller, by the CPU profiler. */
export async function profile(context: Context): Promise<Result> {
  const count = context.options.quick ? 500 : 10_000;
  const target = await createDatabase(context.place, 'profile');
  const subject = await openOurs(target);
  try {
    const shares = new Map<string, Map<string, number>>();
    for (const name of PROFILED) {
      context.progress(`profile: ${name}`);
      const call = callNamed(name);
      await profiled(subject, call, count / 10);
      shares.set(name, await profiled(subject, call, count));
    }
    const owners = [...OWNERS.map(([name]) => name), OTHER];
    return {
      measure: 'profile',
      title: 'Whose code the time of a call goes to, by the CPU profiler, one caller',
      unit: 'µs',
      higherIsBetter: false,
      columns: [...PROFILED],
      lines: [...owners.map((owner) => lineOf(owner, shares)), lineOf('together', shares)].filter(
        ({ figures }) => Object.keys(figures).length > 0,
      ),
      notes: [
        `${count} calls of each, a sample every ${SAMPLE_EVERY_US} µs; time by the code that runs, callers left out`,
      ],
      plot: 'none',
    };
  } finally {
    await subject.close();
    await dropDatabase(context.place, target);
  }
}

function lineOf(owner: string, shares: ReadonlyMap<string, ReadonlyMap<string, number>>): Line {
  const figures = [...shares].flatMap(([call, micros]) => {
    const value = owner === 'together' ? [...micros.values()].reduce((sum, part) => sum + part, 0) : micros.get(owner);
    return value === undefined ? [] : [[call, figure([value])] as const];
  });
  return { name: owner, figures: Object.fromEntries(figures), ratios: {} };
}

/** Microseconds of a call by owner. */
async function profiled({ store }: Subject, call: Call, count: number): Promise<Map<string, number>> {
  const scope = freshScope();
  await call.prepare?.(store, scope, count);
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US });
  await session.post('Profiler.start');
  const start = performance.now();
  for (let n = 0; n < count; n += 1) await call.call(store, scope, n);
  const perCall = ((performance.now() - start) * 1000) / count;
  const { profile: taken } = await session.post('Profiler.stop');
  session.disconnect();
  return byOwner(taken, perCall);
}

function byOwner({ nodes, samples = [] }: Profile, perCall: number): Map<string, number> {
  const owners = new Map(
    nodes.map(({ id, callFrame: { url, functionName } }) => {
      const [owner] = OWNERS.find(([, matches]) => matches(url, functionName)) ?? [OTHER];
      return [id, owner];
    }),
  );
  const micros = new Map<string, number>();
  for (const id of samples) {
    const owner = owners.get(id) ?? OTHER;
    micros.set(owner, (micros.get(owner) ?? 0) + perCall / samples.length);
  }
  return micros;
}
