import { type Blame, blame, type Failure, kindOf } from './failure';
import { counted, type History } from './history';
import type { Judgement } from './judge';
import type { StoredTables } from './tables';

/** Every run ends once the faults have stopped. */
export function judgeEndings({ runs }: StoredTables): Judgement {
  const stuck = [...runs].filter(([, { status }]) => status !== 'completed');
  return {
    promise: 'no run is stuck once the faults have stopped',
    checked: `${runs.size} runs`,
    violations: stuck.map(([run, { status, error }]) => `${run}: ${status} ${error.slice(-200)}`.trim()),
    notes: [],
  };
}

/** No run fails by a database error that repeating would have solved. */
export function judgeFailures(history: History): Judgement {
  const failures = history.all('threw').map(({ failure }) => failure);
  return judged('no workflow fails by an error that the store should absorb', failures, 'turns that threw');
}

/** The same for calls outside of workflows: polls, starts, signals, events. */
export function judgeErrors(history: History): Judgement {
  const facts = [...history.all('caught'), ...history.all('not-sent')];
  const failures = facts.map(({ failure }) => failure);
  return judged(
    'no call outside of a workflow fails by an error that the store should absorb',
    failures,
    'failed calls',
  );
}

/** No process ends by an error that the store should have absorbed. */
export function judgeCrashes(history: History, broken: readonly string[]): Judgement {
  const failures = history.all('unhandled').map(({ failure }) => failure);
  const judgement = judged('no process crashes by an unhandled rejection that the store caused', failures, 'unhandled');
  const others = broken.filter((line) => !line.endsWith('nobody caught'));
  return { ...judgement, violations: [...judgement.violations, ...others] };
}

function judged(promise: string, failures: readonly Failure[], what: string): Judgement {
  const line = (failure: Failure) => `${WORDS[blame(failure)]}: ${kindOf(failure)}`;
  const excused = (failure: Failure) => EXCUSED.has(blame(failure));
  return {
    promise,
    checked: `${failures.length} ${what}`,
    violations: failures.filter((failure) => !excused(failure)).map(line),
    notes: counted(failures.filter(excused).map(line)),
  };
}

const EXCUSED: ReadonlySet<Blame> = new Set(['documented', 'consequence', 'driver']);

const WORDS: Record<Blame, string> = {
  documented: 'as documented',
  consequence: "another run's failure",
  driver: "the driver's own, no call of the store",
  'gave-up': 'gave up',
  'not-understood': 'not understood',
};
