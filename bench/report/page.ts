import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ARRIVALS } from '../engine/workflows';
import type { Line, Result } from '../measures/measure';
import { DATABASES, type DatabaseName } from '../options';
import { short } from './table';

/** The published result of a measure on a database, if there is one. */
type Results = (measure: string, database: DatabaseName) => Result | undefined;

const NAMES: Readonly<Record<DatabaseName, string>> = {
  sqlite: 'SQLite',
  postgresql: 'PostgreSQL',
  mariadb: 'MariaDB',
  mysql: 'MySQL',
};
const SERVERS = ['postgresql', 'mariadb', 'mysql'] as const satisfies readonly DatabaseName[];
/** Columns of a cell that compares: this library, the bare driver, the existing adapter. */
const COMPARED = ['ours', 'bare', 'upstream'] as const;
/** What is set side by side, and what it is called. */
const WHO = { upstream: 'existing adapter', ours: 'this library', bare: 'bare driver' } as const;
/** The way of arriving that all published results have; older ones have no other line. */
const IN_STEP = 'in step';
const AT_128 = 'saveCheckpoint new, 128 callers';

/** The tables of the page, by the name between their markers. */
const TABLES: Readonly<Record<string, (results: Results) => string[][]>> = {
  expect: (results) => [
    [
      '',
      ...['workflows/s ¹', 'checkpoints/s ²'].flatMap((what) => [
        `${what}: ${WHO.upstream}`,
        `**${WHO.ours}**`,
        WHO.bare,
      ]),
    ],
    ...DATABASES.map((database) => [
      NAMES[database],
      ...[
        named(results('engine', database), IN_STEP) ?? only(results('engine', database)),
        named(results('throughput', database), AT_128),
      ].flatMap((line) => Object.keys(WHO).map((column) => figureOf(line, column))),
    ]),
  ],
  arrivals: (results) =>
    compared(
      results,
      'engine',
      ARRIVALS.map(({ name }) => name),
    ),
  load: (results) => compared(results, 'load'),
  layers: (results) => byDatabase(results, 'layers'),
  profile: (results) => acrossDatabases(results, 'profile', ['getRun', 'saveCheckpoint new']),
  latency: (results) => compared(results, 'latency'),
  throughput: (results) => compared(results, 'throughput'),
  groups: (results) => grouped(results),
  workers: (results) => [
    ['', ...SERVERS.flatMap((database) => Object.values(WHO).map((who) => `${NAMES[database]}: ${who}`))],
    ...(results('workers', 'postgresql')?.lines ?? []).map(({ name }) => [
      name,
      ...SERVERS.flatMap((database) =>
        Object.keys(WHO).map((column) => figureOf(named(results('workers', database), name), column)),
      ),
    ]),
  ],
  fanout: (results) => compared(results, 'fan-out'),
  handover: (results) => {
    const columns = results('hand-over', 'postgresql')?.columns ?? [];
    return [
      ['ms', ...DATABASES.flatMap((database) => columns.map((column) => `${NAMES[database]}: ${column}`))],
      ...(results('hand-over', 'postgresql')?.lines ?? []).map(({ name }) => [
        name,
        ...DATABASES.flatMap((database) =>
          columns.map((column) => figureOf(named(results('hand-over', database), name), column)),
        ),
      ]),
    ];
  },
  scale: (results) => [
    ['10,000 / 1,000,000 runs', ...DATABASES.map((database) => NAMES[database])],
    ...(results('scale', 'postgresql')?.lines ?? []).map(({ name }) => [
      name,
      ...DATABASES.map((database) => grown(results('scale', database), name)),
    ]),
  ],
  settings: (results) => rowsOf(results('settings', 'sqlite')),
  boot: (results) => [
    [
      '',
      '`ensureSchema`, up to date',
      'beside 1,000 host tables',
      'a store: construction',
      'memory',
      'memory of a waiting call',
    ],
    ...DATABASES.map((database) => {
      const schema = only(results('boot-schema', database));
      const store = (results('boot-store', database)?.lines ?? []).slice(1).map((line) => figureOf(line, 'figure'));
      const times = [figureOf(schema, 'no host tables'), figureOf(schema, '1000 host tables'), store[0] ?? '–'];
      return [
        NAMES[database],
        ...times.map((time) => `${time} µs`),
        ...store.slice(1).map((bytes) => `${bytes} bytes`),
      ];
    }),
  ],
};

/** Put the published figures into the tables of the page beside them, so that no figure is typed by hand. */
export function refreshPage(out: string): void {
  const page = `${out}.md`;
  if (!existsSync(page)) return;
  const results: Results = (measure, database) => {
    const file = join(out, `${measure}-${database}.json`);
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Result) : undefined;
  };
  const filled = readFileSync(page, 'utf8').replace(
    /(<!-- figures: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const table = TABLES[name];
      if (!table) throw new Error(`${page}: no table is called ${name}`);
      return `${begin}\n${markdown(table(results))}\n\n${end}`;
    },
  );
  writeFileSync(page, filled);
}

function markdown([head = [], ...rows]: string[][]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function compared(
  results: Results,
  measure: string,
  names = (results(measure, 'postgresql')?.lines ?? []).map(({ name }) => name),
): string[][] {
  return [
    ['this library / bare driver / existing adapter', ...DATABASES.map((database) => NAMES[database])],
    ...names.map((name) => [
      name,
      ...DATABASES.map((database) => {
        const line = named(results(measure, database), name);
        return COMPARED.map((column) => figureOf(line, column)).join(' / ');
      }),
    ]),
  ];
}

function byDatabase(results: Results, measure: string): string[][] {
  const columns = results(measure, 'sqlite')?.columns ?? [];
  return [
    ['', ...columns],
    ...DATABASES.map((database) => [
      NAMES[database],
      ...columns.map((column) => figureOf(only(results(measure, database)), column)),
    ]),
  ];
}

/** Lines that some databases have and others lack, a column for each database and figure. */
function acrossDatabases(results: Results, measure: string, columns: readonly string[]): string[][] {
  const names = new Set(
    DATABASES.flatMap((database) => results(measure, database)?.lines.map(({ name }) => name) ?? []),
  );
  const last = 'together';
  return [
    ['', ...DATABASES.flatMap((database) => columns.map((column) => `${NAMES[database]}: ${column.split(' ')[0]}`))],
    ...[...names]
      .filter((name) => name !== last)
      .concat(last)
      .map((name) => [
        name,
        ...DATABASES.flatMap((database) =>
          columns.map((column) => figureOf(named(results(measure, database), name), column)),
        ),
      ]),
  ];
}

function grouped(results: Results): string[][] {
  const lines = ['saveCheckpoint new, 32 callers', 'saveCheckpoint new, 512 callers', 'workflows, 32 in flight'];
  const columns = results('groups', 'postgresql')?.columns ?? [];
  return [
    ['', ...DATABASES.flatMap((database) => lines.map((line) => `${NAMES[database]}: ${line.replace(' new', '')}`))],
    ...columns.map((column) => [
      column,
      ...DATABASES.flatMap((database) =>
        lines.map((line) => figureOf(named(results('groups', database), line), column)),
      ),
    ]),
  ];
}

function rowsOf(result: Result | undefined): string[][] {
  const columns = result?.columns ?? [];
  return [
    ['', ...columns],
    ...(result?.lines ?? []).map((line) => [line.name, ...columns.map((column) => figureOf(line, column))]),
  ];
}

function grown(result: Result | undefined, name: string): string {
  const line = named(result, name);
  if (!result || !line) return '–';
  const [small = '', large = ''] = result.columns.map((column) => figureOf(line, column));
  return `${small} / ${large} (${line.ratios['large/small']?.median.toFixed(2)}×)`;
}

function only(result: Result | undefined): Line | undefined {
  return result?.lines[0];
}

function named(result: Result | undefined, name: string): Line | undefined {
  return result?.lines.find((line) => line.name === name);
}

function figureOf(line: Line | undefined, column: string): string {
  const figure = line?.figures[column];
  return figure ? short(figure.median) : '–';
}
