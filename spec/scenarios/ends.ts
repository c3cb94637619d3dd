import type { SignalWaiter, WorkflowRun } from '@dudousxd/nestjs-durable-core';
import type { Counts } from './ledger';
import type { Scenario } from './scenario';

/** How a scenario ended on a store. */
export interface Ends {
  /** How each run ended, by its id: its status with its output or its error. */
  readonly runs: Readonly<Record<string, string>>;
  /** How often the body of each local step began. */
  readonly did: Counts;
  /** How often each `ctx.transaction` was committed. */
  readonly booked: Counts;
  /** Tokens of the waiters whose run has ended. */
  readonly waiters: readonly string[];
  /** Everything that went wrong outside of a workflow. */
  readonly troubles: readonly string[];
}

/** The part of {@link Ends} that is the scenario's own. */
export type Expected = Pick<Ends, 'runs' | 'did' | 'booked'>;

const ENDED = new Set(['completed', 'failed', 'cancelled', 'dead']);

export function hasEnded({ status }: Pick<WorkflowRun, 'status'>): boolean {
  return ENDED.has(status);
}

/** A run's end in one line. */
export function endOf({ status, output, error }: WorkflowRun): string {
  if (error && status !== 'cancelled') return `${status}: ${error.message}`;
  return output === undefined ? status : `${status} ${JSON.stringify(output)}`;
}

export function waitersOfEnded(runs: readonly WorkflowRun[], waiters: readonly SignalWaiter[]): string[] {
  const ended = new Set(runs.filter(hasEnded).map(({ id }) => id));
  return waiters
    .filter(({ runId }) => ended.has(runId))
    .map(({ token }) => token)
    .sort();
}

/**
 * What is wrong with the ends of a scenario; empty: nothing is. `reference`: on the engine's own store, whose transactions
 * are none and whose leases are weaker.
 */
export function violations(scenario: Scenario, ends: Ends, reference = false): string[] {
  const expected = scenario.expected?.();
  const { repeats = {}, referenceRepeats = {}, leaves = [] } = scenario;
  const mayRepeat = reference ? { ...repeats, ...referenceRepeats } : repeats;
  const left = ends.waiters.filter((token) => !leaves.some((prefix) => token.startsWith(prefix)));
  return [
    ...ends.troubles,
    ...(expected ? differences(expected.runs, ends.runs) : []),
    ...(expected ? miscounts(expected.did, ends.did, mayRepeat) : []),
    ...(expected ? miscounts(expected.booked, ends.booked, reference ? mayRepeat : {}) : []),
    ...left.map((token) => `a waiter of an ended run is left: ${token}`),
  ];
}

function differences(expected: Ends['runs'], actual: Ends['runs']): string[] {
  const ids = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  return [...ids]
    .filter((id) => expected[id] !== actual[id])
    .map((id) => `${id}: ${actual[id] ?? 'no such run'}, expected ${expected[id] ?? 'no such run'}`);
}

function miscounts(expected: Counts, actual: Counts, repeats: Scenario['repeats'] & object): string[] {
  const effects = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  return [...effects].flatMap((effect) => {
    const [times, due] = [actual[effect] ?? 0, expected[effect] ?? 0];
    const mayRepeat = due > 0 && (effect.split(' ')[0] as string) in repeats;
    return times === due || (mayRepeat && times > due) ? [] : [`${effect}: ${times} times, expected ${due}`];
  });
}
