import { parseArgs } from 'node:util';

export const DATABASES = ['sqlite', 'postgresql', 'mariadb', 'mysql'] as const;
export type DatabaseName = (typeof DATABASES)[number];

export const MEASURES = [
  'layers',
  'profile',
  'latency',
  'throughput',
  'engine',
  'load',
  'workers',
  'hand-over',
  'fan-out',
  'groups',
  'settings',
  'boot',
  'scale',
] as const;
export type MeasureName = (typeof MEASURES)[number];

/** What to measure and how thoroughly. */
export interface BenchOptions {
  readonly databases: readonly DatabaseName[];
  readonly measures: readonly MeasureName[];
  /** Few rounds, small data: to see that it runs, not to quote. */
  readonly quick: boolean;
  /** Runs in the large data set of the scale measure. */
  readonly rows: number;
  /** Where JSON and plots go. */
  readonly out: string;
}

export const USAGE = `npm run bench -- [options]
  --db sqlite|postgresql|mariadb|mysql only this database (repeatable)
  --only ${MEASURES.join('|')}
                                      only this measure (repeatable)
  --quick                             few rounds and small data; results go to .tmp/performance
  --rows <n>                          runs in the large data set of "scale"; default 200000
  --full                              the same as --rows 1000000
  --out <directory>                   where results go; default docs/performance`;

/** @throws Error with a message for the person at the terminal */
export function parseOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      db: { type: 'string', multiple: true },
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
      rows: { type: 'string' },
      full: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  const quick = values.quick ?? false;
  const rows = Number(values.rows ?? (values.full ? 1_000_000 : quick ? 20_000 : 200_000));
  if (!Number.isInteger(rows) || rows < 1) throw new Error('--rows: expected a whole number');
  return {
    databases: chosen(values.db, DATABASES, '--db'),
    measures: chosen(values.only, MEASURES, '--only'),
    quick,
    rows,
    out: values.out ?? (quick ? '.tmp/performance' : 'docs/performance'),
  };
}

function chosen<Name extends string>(asked: string[] | undefined, known: readonly Name[], option: string): Name[] {
  if (!asked) return [...known];
  for (const name of asked) {
    if (!known.includes(name as Name)) throw new Error(`${option}: expected one of ${known.join(', ')}, got ${name}`);
  }
  return known.filter((name) => asked.includes(name));
}
