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
