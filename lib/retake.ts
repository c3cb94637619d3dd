import { StatementError } from './attempts';
import { isOneRowsFault } from './failures';

/** Tries to take a row that a competitor keeps taking first, before the call gives up its turn. */
const MAX_CONTENDED_TAKES = 100;

/** Try to take until a row is taken, or there is none. */
export async function retake<T>(attempt: () => Promise<T | null | 'contended'>): Promise<T | null> {
  for (let tries = 0; tries < MAX_CONTENDED_TAKES; tries += 1) {
    const outcome = await attempt();
    if (outcome !== 'contended') return outcome;
  }
  throw new Error(`a row was taken by somebody else ${MAX_CONTENDED_TAKES} times in a row`);
}

/**
 * Take a row by a statement that fails rather than delete what it may not be able to read; when it has failed, `look` before
 * taking. What cannot be read is then left where it is.
 */
export async function takeOrLook<T>(take: () => Promise<T>, look: () => Promise<T>): Promise<T> {
  try {
    return await take();
  } catch (error) {
    if (!(error instanceof StatementError) || !isOneRowsFault(error.cause)) throw error;
    return look();
  }
}
