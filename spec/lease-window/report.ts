import { table } from '../support/table';
import type { Finding } from './experiment';

/** What came of one cell of the table, in one line. */
export function lineOf(finding: Finding): string {
  const { setting, runsAgain, extraTurns, stepsAgain, recovered, overwrites, statuses } = finding;
  const ended = [...statuses].map(([status, count]) => `${count} ${status}`).join(', ');
  return (
    `guards: ${setting.guards.name}; ${columnOf(finding)}: of ${setting.runs} runs ${runsAgain} executed again ` +
    `(${extraTurns} turns), ${stepsAgain} steps executed again, ${recovered} taken for crashed, ` +
    `${overwrites} ends overwritten; in the end ${ended}`
  );
}

/** Runs executed again, and what that did to their ends: by guard and by how the runs end. */
export function tableOf(findings: readonly Finding[]): string {
  const columns = [...new Set(findings.map(columnOf))];
  const guards = [...new Set(findings.map(({ setting }) => setting.guards.name))];
  const rows = guards.map((name) => [
    name,
    ...columns.map((column) => {
      const found = findings.find((each) => each.setting.guards.name === name && columnOf(each) === column);
      return found ? cellOf(found) : '';
    }),
  ]);
  return table([['guards', ...columns], ...rows]);
}

function columnOf({ setting }: Finding): string {
  const { ending, pollMs } = setting;
  return `${ending}, peer polls ${pollMs === 0 ? 'continuously' : `every ${pollMs} ms`}`;
}

function cellOf({ setting, runsAgain, overwrites, unfinished }: Finding): string {
  const worse = [
    ...(overwrites > 0 ? [`${overwrites} ends overwritten`] : []),
    ...(unfinished > 0 ? [`${unfinished} left asleep`] : []),
  ];
  return [`${runsAgain} of ${setting.runs}`, ...worse].join(', ');
}
