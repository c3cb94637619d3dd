import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind } from './fault-kinds';
import { COUNTED, type Counted } from './goal';
import { TOPOLOGIES, type Topology } from './topologies';

export type DatabaseName = 'sqlite' | 'postgresql' | 'mariadb' | 'mysql';
/** A promise that the workers break on purpose, to see that the verdict notices. */
export type Sabotage = 'double-charge' | 'lost-step' | 'stuck-run';

export interface Options {
  readonly db: DatabaseName;
  /** A name among {@link TOPOLOGIES}; `undefined`: one server. */
  readonly topology: string | undefined;
  /** How long faults are injected; with `until`, how long what it asks for may take. */
  readonly minutes: number;
  /** What has to happen before the faults end; `undefined`: they end with the time. */
  readonly until: Partial<Record<Counted, number>> | undefined;
  readonly seed: number;
  /** Engine processes at a time. */
  readonly workers: number;
  /** Runs that have not ended, children included, beyond which none is started. */
  readonly inFlight: number;
  /** Runs started per second, at most. */
  readonly rate: number;
  readonly leaseMs: number;
  /** How long runs may take to end once the faults stop. */
  readonly settleSeconds: number;
  readonly faults: readonly FaultKind[];
  /** The average pause between two faults. */
  readonly faultEveryMs: number;
  readonly report: string | undefined;
  readonly sabotage: Sabotage | undefined;
  /** Leave database and ledgers in place. */
  readonly keep: boolean;
}

export const USAGE = `npm run torture -- --db sqlite|postgresql|mariadb|mysql --minutes N

--topology NAME           ${Object.keys(TOPOLOGIES).join(', ')}: what stands before the database or in its place
--minutes N               how long faults are injected, from when all workers have booted (default 1)
--until runs=N,faults=N   not for a time, but until so many runs have completed and faults have struck; --minutes is then
                          how long that may take (default 10). sabotages=N: until so many promises have been broken
--faults kill,stop,...    of ${FAULT_KINDS.join(', ')} (default: all that the database has)
--fault-every MS          average pause between two faults (default 1200)
--workers N               engine processes at a time (default 3)
--workflows-in-flight N   runs that have not ended, at most (default 40)
--rate N                  runs started per second, at most (default 8)
--lease MS                lease of a run (default 3000)
--settle SECONDS          how long runs may take to end once the faults stop (default 120)
--seed N                  repeat the faults of an earlier run (their timing never repeats exactly)
--report FILE             write the report as Markdown too
--sabotage KIND           double-charge, lost-step or stuck-run: break a promise, the verdict must be bad
--keep                    leave the database and the ledgers for you to look at

postgresql, mariadb and mysql are servers of the torture's own, started for it and removed.`;

const DATABASES: readonly DatabaseName[] = ['sqlite', 'postgresql', 'mariadb', 'mysql'];
const SABOTAGES: readonly Sabotage[] = ['double-charge', 'lost-step', 'stuck-run'];

/** @throws TypeError naming the argument that does not fit */
export function readOptions(args: readonly string[]): Options | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  return {
    ...database(values),
    minutes: number('minutes', values.minutes, values.until === undefined ? 1 : 10, 0),
    until: values.until === undefined ? undefined : counts(values.until),
    seed: number('seed', values.seed, Math.floor(Math.random() * 2 ** 32), 0),
    workers: number('workers', values.workers, 3, 1),
    inFlight: number('workflows-in-flight', values['workflows-in-flight'], 40, 1),
    rate: number('rate', values.rate, 8, 0.1),
    leaseMs: number('lease', values.lease, 3000, 500),
    settleSeconds: number('settle', values.settle, 120, 1),
    faults: (values.faults?.split(',').filter(Boolean) ?? FAULT_KINDS).map((kind) =>
      oneOf('faults', kind, FAULT_KINDS),
    ),
    faultEveryMs: number('fault-every', values['fault-every'], 1200, 10),
    report: values.report,
    sabotage: values.sabotage === undefined ? undefined : oneOf('sabotage', values.sabotage, SABOTAGES),
    keep: values.keep === true,
  };
}

function database(values: {
  db?: string | undefined;
  topology?: string | undefined;
}): Pick<Options, 'db' | 'topology'> {
  if (values.topology === undefined) return { db: oneOf('db', values.db ?? 'sqlite', DATABASES), topology: undefined };
  const topology = oneOf('topology', values.topology, Object.keys(TOPOLOGIES));
  const { db } = TOPOLOGIES[topology] as Topology;
  if (values.db !== undefined && values.db !== db) throw new TypeError(`--db: the topology ${topology} is of ${db}`);
  return { db, topology };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  return parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h' },
      keep: { type: 'boolean' },
      ...{ db: text, minutes: text, seed: text, workers: text, 'workflows-in-flight': text, rate: text, lease: text },
      ...{ topology: text, until: text, settle: text, faults: text, 'fault-every': text, report: text, sabotage: text },
    },
  }).values;
}

function number(name: string, text: string | undefined, otherwise: number, least: number): number {
  const n = Number(text ?? otherwise);
  if (!Number.isFinite(n) || n < least) throw new TypeError(`--${name}: expected a number from ${least}`);
  return n;
}

/** `runs=12,faults=6` as numbers by what they count. */
function counts(text: string): Partial<Record<Counted, number>> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  return Object.fromEntries(pairs.map(([what = '', n]) => [oneOf('until', what, COUNTED), number('until', n, 0, 1)]));
}

function oneOf<T extends string>(name: string, text: string, among: readonly T[]): T {
  const found = among.find((value) => value === text);
  if (!found) throw new TypeError(`--${name}: expected ${among.join(', ')}, got ${text}`);
  return found;
}
