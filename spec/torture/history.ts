import type { Fact, Recorded } from './ledger';

type Of<K extends Fact['kind']> = Extract<Recorded, { kind: K }>;

/** What the ledgers say about one run, each list in the order of time. */
export interface RunHistory {
  readonly run: string;
  readonly turns: (Of<'turn'> & { readonly readAt: number })[];
  readonly began: Of<'began'>[];
  readonly acknowledged: Of<'acknowledged'>[];
  readonly claims: Of<'claim'>[];
  readonly leases: Of<'leased'>[];
  readonly renewals: Of<'renewed'>[];
  /** Calls that free the lease; `until` is infinite for those that never came back. */
  readonly releases: { by: string; from: number; until: number }[];
}

/** The ledgers of all processes, by what they are about. */
export class History {
  readonly runs = new Map<string, RunHistory>();
  readonly stops = new Map<string, { from: number; until: number }[]>();
  /** When and how a process ended. */
  readonly gone = new Map<string, { at: number; how: string }>();
  private readonly readings = new Map<string, number>();
  private readonly byKind = new Map<Fact['kind'], Recorded[]>();

  constructor(facts: readonly Recorded[]) {
    for (const fact of facts) this.add(fact);
  }

  all<K extends Fact['kind']>(kind: K): Of<K>[] {
    return (this.byKind.get(kind) ?? []) as Of<K>[];
  }

  of(run: string): RunHistory {
    const known = this.runs.get(run);
    if (known) return known;
    const lists = { turns: [], began: [], acknowledged: [], claims: [], leases: [], renewals: [], releases: [] };
    const history = { run, ...lists };
    this.runs.set(run, history);
    return history;
  }

  /** The turn of `by`, other than `turn`, in which something at `at` may have happened. */
  otherTurnAt(run: string, by: string, at: number, turn: string): RunHistory['turns'][number] | undefined {
    return this.of(run).turns.findLast((each) => each.by === by && each.at <= at && each.turn !== turn);
  }

  turn(run: string, turn: string): RunHistory['turns'][number] | undefined {
    return this.of(run).turns.find((candidate) => candidate.turn === turn);
  }

  private add(fact: Recorded): void {
    const list = this.byKind.get(fact.kind);
    if (list) list.push(fact);
    else this.byKind.set(fact.kind, [fact]);
    if (fact.kind === 'reading') this.readings.set(`${fact.by} ${fact.run}`, fact.at);
    // What a turn replays was read before its function is called: a checkpoint it found running then is running to it.
    if (fact.kind === 'turn') {
      const readAt = this.readings.get(`${fact.by} ${fact.run}`) ?? fact.at;
      this.of(fact.run).turns.push({ ...fact, readAt });
    }
    if (fact.kind === 'began') this.of(fact.run).began.push(fact);
    if (fact.kind === 'acknowledged') this.of(fact.run).acknowledged.push(fact);
    if (fact.kind === 'claim') this.of(fact.run).claims.push(fact);
    if (fact.kind === 'leased') this.of(fact.run).leases.push(fact);
    if (fact.kind === 'renewed') this.of(fact.run).renewals.push(fact);
    if (fact.kind === 'gone') this.gone.set(fact.worker, { at: fact.at, how: fact.how });
    if (fact.kind === 'stopped') {
      this.stops.set(fact.worker, [...(this.stops.get(fact.worker) ?? []), { from: fact.at, until: fact.untilAt }]);
    }
    this.addRelease(fact);
  }

  private addRelease(fact: Recorded): void {
    if (fact.kind === 'releasing') {
      this.of(fact.run).releases.push({ by: fact.by, from: fact.at, until: Number.POSITIVE_INFINITY });
    }
    if (fact.kind === 'released') {
      const open = this.of(fact.run).releases.find(({ by, until }) => by === fact.by && until === Infinity);
      if (open) open.until = fact.at;
    }
  }
}

/** The same things in groups, each in the order it had. */
export function grouped<T>(things: readonly T[], keyOf: (thing: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const thing of things) {
    const group = groups.get(keyOf(thing));
    if (group) group.push(thing);
    else groups.set(keyOf(thing), [thing]);
  }
  return groups;
}

/** Every different line once, with the number of times it occurred where that is more than one; the frequent ones first. */
export function counted(lines: readonly string[]): string[] {
  const groups = [...grouped(lines, (line) => line)].sort(([, a], [, b]) => b.length - a.length);
  return groups.map(([line, { length }]) => (length === 1 ? line : `${length} × ${line}`));
}
