import { inspect } from 'node:util';
import { DurableStoreError } from '../../lib';
import { aFullCheckpoint, aFullRun, freshId } from '../support/fixtures';

/** In every id, name and payload of these tests, and in no error. */
export const MARKER = 'mArKeR-7f3a';

const SQL_TEXT = /insert into|delete from|select .* from|update .* set|\bvalues\s*\(/is;

export function markedRun(fields: object = {}) {
  const marks = { workflow: MARKER, input: { secret: MARKER }, tags: [MARKER], lockedBy: MARKER, origin: MARKER };
  return aFullRun({ id: freshId(MARKER), ...marks, searchAttributes: { [MARKER]: MARKER }, ...fields });
}

export function markedCheckpoint(fields: object = {}) {
  const runId = freshId(MARKER);
  return aFullCheckpoint({ runId, name: MARKER, output: { secret: MARKER }, ...fields });
}

/** The error of a call that fails, after seeing that it is one of ours and says nothing it must not say. */
export async function failureOf(call: Promise<unknown>): Promise<DurableStoreError & Record<string, unknown>> {
  const error = await call.then(
    () => new Error('the call succeeded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DurableStoreError);
  const printed = inspect(error, { depth: 20, showHidden: true, getters: true });
  expect(printed).not.toContain(MARKER);
  expect(printed.replace(/^\s+at .*$/gm, '')).not.toMatch(SQL_TEXT);
  return error as DurableStoreError & Record<string, unknown>;
}

/** Fails a suite in which a promise was rejected that nobody handled. */
export function noUnhandledRejections(): void {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  beforeAll(() => {
    process.on('unhandledRejection', note);
  });
  afterAll(() => {
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
}
