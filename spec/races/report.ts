import { table } from '../support/table';
import type { Result } from './play';

/** Violations shown of one race; the number of all is in its line. */
const SHOWN = 5;

/** What came of one race, in one line, and what was wrong. */
export function lineOf({ kind, race, rounds, calls, violations, ms, notes }: Result): string {
  const told = [...notes].map(([what, count]) => `, ${count} ${what}`).join('');
  const head = `${kind}  ${race}: ${rounds} × ${calls}, ${violations.length} violations, ${seconds(ms)} s${told}`;
  return [head, ...violations.slice(0, SHOWN).map((violation) => `    ${violation}`)].join('\n');
}

/** Violations by race and database, ready for a Markdown file. */
export function tableOf(results: readonly Result[]): string {
  const [first] = results;
  if (!first) return '';
  const kinds = [...new Set(results.map(({ kind }) => kind))];
  const races = [...new Set(results.map(({ race }) => race))];
  const cell = (race: string, kind: string) => {
    const result = results.find((each) => each.race === race && each.kind === kind);
    return result ? `${result.violations.length} (${seconds(result.ms)} s)` : '';
  };
  const { rounds, calls, processes } = first;
  const rows = races.map((race) => [race, ...kinds.map((kind) => cell(race, kind))]);
  const title = `Violations in ${rounds} rounds of ${calls} calls from ${processes} processes`;
  return `${title}\n\n${table([['race', ...kinds], ...rows])}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
