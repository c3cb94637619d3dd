/** When a call was made and when it was answered, in ms of the machine's monotonic clock, which all processes share. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Now, on the clock that all processes of this machine share. */
export function instant(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Make a call and say when. */
export async function timed<T>(call: () => Promise<T>): Promise<Span & { answer: T }> {
  const from = instant();
  const answer = await call();
  return { answer, from, to: instant() };
}

/** Whether `a` was answered before `b` was made: then it took effect first. Otherwise either order is possible. */
export function before(a: Span, b: Span): boolean {
  return a.to < b.from;
}

/** The calls that may have been the first to take effect. */
export function possiblyFirst<Call extends Span>(calls: readonly Call[]): Call[] {
  return calls.filter((call) => !calls.some((other) => before(other, call)));
}

/** The calls that may have been the last to take effect. */
export function possiblyLast<Call extends Span>(calls: readonly Call[]): Call[] {
  return calls.filter((call) => !calls.some((other) => before(call, other)));
}

/** What is wrong with calls of which one must win, and nobody may lose before the winner was even asked. */
export function oneWinner<Call extends Span & { readonly n: number }>(
  what: string,
  calls: readonly Call[],
  won: (call: Call) => boolean,
): string[] {
  const [winner, ...others] = calls.filter(won);
  if (!winner || others.length > 0) return [`${what}: ${winner ? others.length + 1 : 0} winners`];
  const early = calls.filter((call) => call !== winner && before(call, winner));
  return early.map(({ n }) => `${what}: call ${n} lost before the winner, ${winner.n}, was made`);
}

/** A value that went into a queue. */
export interface Put<Value> extends Span {
  readonly value: Value;
}

/** A value that came out of a queue, or null for the answer that it was empty. */
export interface Take<Value> extends Span {
  readonly value: Value | null;
}

/**
 * What is wrong with the calls on one queue of distinct values that was emptied in the end: values lost, given twice or
 * made up, given out of order, or withheld. By Henzinger, Sezgin and Vafeiadis ("Aspect-oriented linearizability
 * proofs") a history free of these has an order that explains it.
 */
export function queueFaults<Value>(puts: readonly Put<Value>[], takes: readonly Take<Value>[]): string[] {
  const taken = new Map<Value, Span>();
  const faults: string[] = [];
  for (const take of takes) {
    if (take.value === null) continue;
    const put = puts.find(({ value }) => value === take.value);
    if (!put || before(take, put)) faults.push(`${take.value} was taken but not put`);
    if (taken.has(take.value)) faults.push(`${take.value} was taken twice`);
    taken.set(take.value, take);
  }
  faults.push(...puts.filter(({ value }) => !taken.has(value)).map(({ value }) => `${value} is lost`));
  for (const first of puts) {
    for (const second of puts.filter((put) => before(first, put))) {
      const [one, two] = [taken.get(first.value), taken.get(second.value)];
      if (one && two && before(two, one)) faults.push(`${second.value} was taken before ${first.value}`);
    }
  }
  const misses = takes.filter(({ value }) => value === null);
  return [...faults, ...misses.filter((miss) => neverEmpty(miss, puts, taken)).map(() => 'a take missed a value')];
}

/** Whether the queue held something at every instant of a call. */
function neverEmpty<Value>(call: Span, puts: readonly Put<Value>[], taken: ReadonlyMap<Value, Span>): boolean {
  const held = puts
    .map(({ value, to }) => ({ from: to, to: taken.get(value)?.from ?? Number.POSITIVE_INFINITY }))
    .sort((a, b) => a.from - b.from);
  let coveredTo = call.from;
  for (const { from, to } of held) if (from < coveredTo && to > coveredTo) coveredTo = to;
  return coveredTo > call.to;
}
