/** One call as seen from outside: when it was made, when it was answered, and what it said. */
export interface Event<Operation> {
  readonly operation: Operation;
  readonly from: number;
  readonly to: number;
}

/** A history of calls, each stamped by one clock. */
export class History<Operation> {
  readonly events: Event<Operation>[] = [];

  /** Make a call and record it with its answer. */
  async record<T>(call: () => Promise<T>, operation: (answer: T) => Operation): Promise<T> {
    const from = performance.now();
    const answer = await call();
    this.events.push({ operation: operation(answer), from, to: performance.now() });
    return answer;
  }
}

/**
 * Whether some order explains a history: every call takes effect at one instant between being made and being answered,
 * and `apply` gives the state after it, or `undefined` where the answer would have been another. States are compared
 * by their text. Searches depth first and remembers what was in vain (Wing and Gong, with Lowe's memory).
 */
export function isLinearizable<State, Operation>(
  history: readonly Event<Operation>[],
  initial: State,
  apply: (state: State, operation: Operation) => State | undefined,
): boolean {
  const events = [...history].sort((a, b) => a.from - b.from);
  const inVain = new Set<string>();
  const search = (left: readonly Event<Operation>[], state: State): boolean => {
    if (left.length === 0) return true;
    const place = `${left.map((event) => events.indexOf(event)).join()} ${JSON.stringify(state)}`;
    if (inVain.has(place)) return false;
    // Whoever was made after another was answered cannot come before it.
    const firstAnswer = Math.min(...left.map(({ to }) => to));
    for (const event of left) {
      if (event.from > firstAnswer) break;
      const next = apply(state, event.operation);
      if (
        next !== undefined &&
        search(
          left.filter((other) => other !== event),
          next,
        )
      )
        return true;
    }
    inVain.add(place);
    return false;
  };
  return search(events, initial);
}
