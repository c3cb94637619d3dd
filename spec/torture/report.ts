import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAULT_WORDS } from './fault-kinds';
import { counted } from './history';
import { violationsOf } from './judge';
import { TOPOLOGIES } from './topologies';
import type { Outcome } from './torture';

type Cells = readonly (string | number)[];

interface Section {
  readonly title: string;
  readonly head: Cells;
  readonly rows: readonly Cells[];
}

const ROOT = join(__dirname, '../..');
/** Violations of one promise that are spelled out. */
const SPELLED_OUT = 40;

/** The report as plain text. */
export function textReport(outcome: Outcome): string {
  const sections = sectionsOf(outcome).map(({ title, rows }) => {
    const width = Math.max(0, ...rows.map(([first]) => String(first).length));
    const lines = rows.map(([first, ...rest]) => `  ${String(first).padEnd(width)}  ${rest.join('  ')}`);
    return [title, ...lines].join('\n');
  });
  return [...sections, ...details(outcome), conclusion(outcome)].join('\n\n');
}

/** The same as Markdown tables. */
export function markdownReport(outcome: Outcome): string {
  const line = (cells: Cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  const sections = sectionsOf(outcome).map(({ title, head, rows }) =>
    [`## ${title}`, '', line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n'),
  );
  const lists = details(outcome).map((text) => text.replaceAll('\n  ', '\n- ').replace('\n', '\n\n'));
  return `# Crash torture: ${outcome.options.topology ?? outcome.options.db}\n\n${[...sections, ...lists, conclusion(outcome)].join('\n\n')}\n`;
}

function sectionsOf(outcome: Outcome): Section[] {
  const { kinds, struck, verdict } = outcome;
  return [
    { title: 'Configuration', head: ['setting', 'value'], rows: configuration(outcome) },
    { title: 'Workload', head: ['what', 'number'], rows: verdict.workload },
    {
      title: 'Faults',
      head: ['fault', 'times', 'what it does'],
      rows: kinds.map((kind) => [kind, struck.get(kind) ?? 0, FAULT_WORDS[kind]]),
    },
    {
      title: 'Verdict',
      head: ['promise', 'held', 'checked'],
      rows: verdict.judgements.map(({ promise, violations, checked }) => [
        promise,
        violations.length === 0 ? 'held' : `BROKEN ${violations.length} times`,
        checked,
      ]),
    },
  ];
}

function configuration({ options, server, seconds, workers, failedFaults, kinds }: Outcome): Cells[] {
  return [
    ['database', `${options.db}, server ${server}${restarts(options.db, kinds)}`],
    ...(options.topology === undefined ? [] : [['topology', TOPOLOGIES[options.topology]?.words ?? options.topology]]),
    ['versions', versions()],
    ['seed', options.seed],
    [
      'duration',
      `${seconds.faults.toFixed(0)} s of faults, ${seconds.settling.toFixed(0)} s until every run had ended`,
    ],
    ['load', `at most ${options.rate} starts per second, ${options.inFlight} runs in flight`],
    ['leases', `${options.leaseMs} ms`],
    ['pause between faults', `${options.faultEveryMs} ms on average`],
    [
      'workers',
      `${options.workers} at a time, ${workers.hired} in all: ${workers.killed} killed, ${workers.broken.length} broke down`,
    ],
    ['faults that failed', failedFaults.length === 0 ? 'none' : `${failedFaults.length}, e.g. ${failedFaults[0]}`],
    ...(options.sabotage ? [['sabotage', options.sabotage]] : []),
  ];
}

function restarts(db: string, kinds: Outcome['kinds']): string {
  return db === 'sqlite' || kinds.includes('restart') ? '' : ', never restarted';
}

function versions(): string {
  const version = (name: string) =>
    (JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version;
  const engine = version('@dudousxd/nestjs-durable-core');
  return `engine ${engine}, MikroORM ${version('@mikro-orm/core')}, Node ${process.versions.node}`;
}

/** What is to be said about each promise beyond a word. */
function details({ verdict, workers }: Outcome): string[] {
  const texts = verdict.judgements.flatMap(({ promise, violations, notes }) => [
    ...(violations.length > 0 ? [[`BROKEN: ${promise}`, ...shortened(violations)].join('\n  ')] : []),
    ...(notes.length > 0 ? [[`Permitted, of "${promise}":`, ...notes].join('\n  ')] : []),
  ]);
  return workers.broken.length > 0
    ? [...texts, ['Workers that broke down:', ...shortened(workers.broken)].join('\n  ')]
    : texts;
}

function shortened(lines: readonly string[]): string[] {
  const all = counted(lines);
  const spelled = all.slice(0, SPELLED_OUT);
  return all.length > SPELLED_OUT ? [...spelled, `and ${all.length - SPELLED_OUT} more`] : spelled;
}

function conclusion({ verdict, options }: Outcome): string {
  const violations = violationsOf(verdict);
  return violations === 0
    ? `Every promise held. Repeat the faults with --seed ${options.seed}`
    : `${violations} violations. Repeat the faults with --seed ${options.seed}`;
}
