import { grouped, type History } from './history';
import type { Judgement } from './judge';
import { whyOverlapping } from './leases';
import type { StoredCharge, StoredTables } from './tables';
import { stepsOf } from './workflow';

/** Every business write of a transaction exists exactly once for its run and step, and with its checkpoint. */
export function judgeTransactions(history: History, tables: StoredTables): Judgement {
  const violations = [...wrongBalances(tables), ...missing(history, tables)];
  let steps = 0;
  for (const [run, charges] of tables.charges) {
    for (const [step, rows] of grouped(charges, (charge) => charge.step)) {
      steps += 1;
      violations.push(...judgeStep(history, tables, { run, step, rows }));
    }
  }
  return {
    promise: 'every business write of ctx.transaction exactly once',
    checked: `${steps} transactions, ${tables.balances.size} balances`,
    violations,
    notes: [],
  };
}

function judgeStep(
  history: History,
  { checkpoints }: StoredTables,
  { run, step, rows }: { run: string; step: string; rows: readonly StoredCharge[] },
): string[] {
  const checkpoint = checkpoints.get(run)?.get(step);
  const again = rows.slice(1).map((row) => `${run}: ${step} was charged again, ${how(history, run, rows[0], row)}`);
  if (checkpoint?.status !== 'completed') {
    return [`${run}: ${step} is charged, and its checkpoint ${checkpoint?.status ?? 'missing'}`, ...again];
  }
  if (rows.some(({ execution }) => execution === checkpoint.output.execution)) return again;
  return [`${run}: the charge of the ${step} that the checkpoint records is missing`, ...again];
}

/** How a step came to be charged twice. */
function how(history: History, run: string, one: StoredCharge | undefined, other: StoredCharge): string {
  const { began, acknowledged } = history.of(run);
  const turns = [one, other].map((row) => {
    const beginning = began.find(({ execution }) => execution === row?.execution);
    return beginning && history.turn(run, beginning.turn);
  });
  const [first, second] = turns.filter((turn) => turn !== undefined).sort((a, b) => a.at - b.at);
  if (!first || !second || first === second) return 'by one turn';
  // The transaction of the first turn had ended when it was acknowledged, or when its process did.
  const end = acknowledged.find((fact) => fact.turn === first.turn && fact.step === other.step)?.at;
  if (second.at >= (end ?? history.gone.get(first.by)?.at ?? Number.POSITIVE_INFINITY)) {
    return `by a turn of ${second.by} that began after ${first.by} had ended it`;
  }
  return whyOverlapping(history, first, second);
}

function wrongBalances({ charges, balances }: StoredTables): string[] {
  const byAccount = grouped([...charges.values()].flat(), ({ account }) => String(account));
  return [...balances]
    .map(([account, balance]) => ({ account, balance, charged: byAccount.get(String(account))?.length ?? 0 }))
    .filter(({ balance, charged }) => balance !== charged)
    .map(({ account, balance, charged }) => `account ${account}: ${charged} charges, balance ${balance}`);
}

/** Charges that were acknowledged, or that a completed run must have, and that are not there. */
function missing(history: History, tables: StoredTables): string[] {
  const lines: string[] = [];
  const transactions = new Set(
    history
      .all('began')
      .filter((fact) => fact.transaction)
      .map((fact) => fact.execution),
  );
  for (const { run, step, execution } of history.all('acknowledged')) {
    if (!transactions.has(execution)) continue;
    const there = tables.charges.get(run)?.some((charge) => charge.execution === execution);
    if (!there) lines.push(`${run}: ${step} ${execution} was acknowledged, and its charge is missing`);
  }
  for (const [run, { workflow, status }] of tables.runs) {
    if (status !== 'completed') continue;
    const charged = new Set(tables.charges.get(run)?.map(({ step }) => step));
    for (const step of stepsOf(workflow).transactions)
      if (!charged.has(step)) lines.push(`${run}: completed without the charge of ${step}`);
  }
  return lines;
}
