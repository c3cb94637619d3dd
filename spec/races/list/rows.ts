import { isDeepStrictEqual } from 'node:util';
import { RunAttributeEntity, SignalWaiterEntity, type WorkflowRun } from '../../../lib';
import type { Arena } from '../race';

/** Whether two objects hold the same; an absent field and an undefined one are the same. */
export function sameFields(one: object, other: object): boolean {
  return isDeepStrictEqual(present(one), present(other));
}

function present(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** What is wrong with a run's rows in the side table, measured by the attributes the run itself holds. */
export async function attributeFaults(arena: Arena, run: WorkflowRun): Promise<string[]> {
  const indexed = Object.fromEntries(await attributesOf(arena, run.id));
  const held = Object.entries(run.searchAttributes ?? {}).map(([key, value]) => [
    key,
    typeof value === 'number' ? value : String(value),
  ]);
  return sameFields(indexed, Object.fromEntries(held))
    ? []
    : [`the side table says ${JSON.stringify(indexed)}, the run ${JSON.stringify(run.searchAttributes)}`];
}

/** A run's rows in the side table. */
export async function attributesOf({ orm }: Arena, runId: string): Promise<[key: string, value: unknown][]> {
  const rows = await orm.em.fork().find(RunAttributeEntity, { runId });
  return rows.map(({ key, numValue, strValue }) => [key, numValue ?? strValue]);
}

/** The steps of a run that wait for a signal. */
export async function waitersOf({ orm }: Arena, runId: string): Promise<number[]> {
  return (await orm.em.fork().find(SignalWaiterEntity, { runId })).map(({ seq }) => seq);
}
