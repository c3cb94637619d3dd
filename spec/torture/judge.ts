import type { MikroORM } from '@mikro-orm/core';
import { judgeWrites } from './acknowledged';
import { judgeCrashes, judgeEndings, judgeErrors, judgeFailures } from './endings';
import { judgeExecutions } from './executions';
import { History } from './history';
import { judgeLeases } from './leases';
import { readLedgers } from './ledger';
import { judgeMessages } from './messages';
import { readTables } from './tables';
import { judgeTransactions } from './transactions';

/** What became of one promise. */
export interface Judgement {
  readonly promise: string;
  /** How much there was to hold against it. */
  readonly checked: string;
  /** One line each; none: the promise held. */
  readonly violations: readonly string[];
  /** What is permitted and yet worth knowing, one line each. */
  readonly notes: readonly string[];
}

export interface Verdict {
  readonly judgements: readonly Judgement[];
  /** What the runs did, name and number. */
  readonly workload: readonly (readonly [string, number])[];
}

/** Hold the tables against the ledgers. `broken`: workers that ended by themselves, and how. */
export async function judge(orm: MikroORM, ledgers: string, broken: readonly string[]): Promise<Verdict> {
  const history = new History(readLedgers(ledgers));
  const tables = await readTables(orm);
  const judgements = [
    judgeWrites(history, tables),
    judgeTransactions(history, tables),
    judgeExecutions(history),
    judgeLeases(history),
    judgeMessages(history, tables),
    judgeEndings(tables),
    judgeFailures(history),
    judgeErrors(history),
    judgeCrashes(history, broken),
  ];
  return { judgements, workload: workloadOf(history, tables.runs.size) };
}

export function violationsOf(verdict: Verdict): number {
  return verdict.judgements.reduce((sum, { violations }) => sum + violations.length, 0);
}

function workloadOf(history: History, runs: number): Verdict['workload'] {
  const acknowledged = history.all('acknowledged');
  const transactions = new Set(
    history
      .all('began')
      .filter((fact) => fact.transaction)
      .map((fact) => fact.execution),
  );
  const inTransaction = acknowledged.filter(({ execution }) => transactions.has(execution)).length;
  const sent = history.all('sent');
  return [
    ['runs, children included', runs],
    ['starts acknowledged', history.all('started').length],
    ['turns', history.all('turn').length],
    ['local steps acknowledged', acknowledged.length - inTransaction],
    ['transactions acknowledged', inTransaction],
    ['bodies begun', history.all('began').length],
    ['signals acknowledged', sent.filter(({ wait }) => wait.startsWith('approve:')).length],
    ['events acknowledged', sent.filter(({ wait }) => wait.startsWith('parcel:')).length],
    ['signals and events repeated', sent.filter(({ again }) => again).length],
    ['completions of children repeated', history.all('child-repeated').length],
    ['failed runs queued again', history.all('requeued').length],
  ];
}
