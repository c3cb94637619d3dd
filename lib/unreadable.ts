import type { DurableRowError } from './errors';
import type { Row } from './session';
import type { WorkflowRun } from './types';

/** The last instant of JavaScript, for a time that nobody knows: what happened then is not overdue. */
const LAST_MS = 8.64e15;

/**
 * What a list shows of a run that cannot be read: what can be read of it and what is wrong. Without a time to wake at, so that
 * the engine leaves it alone.
 */
export function unreadableRun({ wakeAt, ...run }: WorkflowRun, { code, message }: DurableRowError): WorkflowRun {
  const { createdAt = new Date(LAST_MS), updatedAt = new Date(LAST_MS) } = run as Partial<WorkflowRun>;
  return { ...run, createdAt, updatedAt, error: { code, message } };
}

/**
 * In place of a value that cannot be read one that throws when it is looked at. A copy of the object fails too: without the value
 * it would replace what is stored.
 */
export function throwsWhenRead(error: DurableRowError, shape: Record<string, unknown>, property: string): void {
  Object.defineProperty(shape, property, {
    enumerable: true,
    get() {
      throw error;
    },
  });
}

/**
 * The first `limit` of an ordered list that can be read. It is asked for so many; only when some of those cannot be read, and
 * there may be more, again for as many more.
 */
export async function beyondUnreadable<Shape>(
  limit: number,
  ask: (count: number) => Promise<readonly Row[]>,
  readable: (rows: readonly Row[]) => Shape[],
): Promise<Shape[]> {
  for (let count = limit; ; ) {
    const rows = await ask(count);
    const shapes = readable(rows);
    if (rows.length < count || shapes.length >= limit) return shapes.slice(0, limit);
    count = limit + rows.length - shapes.length;
  }
}
