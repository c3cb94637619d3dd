import { lateClaim } from './executions';
import type { History, RunHistory } from './history';
import type { Judgement } from './judge';
import { isViolation } from './leases';
import type { StoredTables } from './tables';
import { stepsOf } from './workflow';

/** Every acknowledged start has its run, every acknowledged step its completed checkpoint with that output. */
export function judgeWrites(history: History, tables: StoredTables): Judgement {
  const violations: string[] = [];
  const notes: string[] = [];
  const started = history.all('started');
  for (const { run, by } of started) {
    if (!tables.runs.has(run)) violations.push(`${run}: its start was acknowledged to ${by}, and there is no such run`);
  }
  for (const run of history.runs.values()) judgeSteps(history, run, tables, violations, notes);
  for (const { run } of history.all('completed')) {
    const status = tables.runs.get(run)?.status;
    if (status !== 'completed') violations.push(`${run}: was reported completed, and is ${status ?? 'gone'}`);
  }
  for (const [run, { workflow, status }] of tables.runs) {
    if (status !== 'completed') continue;
    const { local, transactions } = stepsOf(workflow);
    const missing = [...local, ...transactions].filter((step) => !tables.checkpoints.get(run)?.has(step));
    if (missing.length > 0) violations.push(`${run}: completed without ${missing.join(', ')}`);
  }
  return {
    promise: 'every acknowledged write is there afterwards',
    checked: `${started.length} starts, ${history.all('acknowledged').length} steps, ${history.all('completed').length} completions`,
    violations,
    notes,
  };
}

function judgeSteps(
  history: History,
  run: RunHistory,
  tables: StoredTables,
  violations: string[],
  notes: string[],
): void {
  for (const step of new Set(run.acknowledged.map((fact) => fact.step))) {
    const stored = tables.checkpoints.get(run.run)?.get(step);
    const acknowledged = run.acknowledged.findLast((fact) => fact.step === step);
    if (!acknowledged) continue;
    const label = `${run.run}: ${step}, acknowledged to ${acknowledged.by},`;
    if (stored?.status !== 'completed') {
      const overlap = stored && lateClaim(history, acknowledged, Number.POSITIVE_INFINITY);
      const list = overlap && !isViolation(overlap) ? notes : violations;
      list.push(`${label} is ${stored?.status ?? 'gone'}${overlap ? ` (claimed by another process: ${overlap})` : ''}`);
    } else if (!run.began.some((fact) => fact.step === step && fact.execution === stored.output.execution)) {
      violations.push(`${label} has the output ${JSON.stringify(stored.output)}, which nobody produced`);
    }
  }
}
