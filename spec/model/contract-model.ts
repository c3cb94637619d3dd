import { isDeepStrictEqual } from 'node:util';
import type { BufferedEvent, RunQuery, SignalWaiter, StepCheckpoint, WorkflowRun } from '../../lib';
import { CHECKPOINT, type Kept, kept, keptOnce, RUN, shown } from './fields';
import { checkQuery, matches, OLDEST_FIRST, type Run } from './matching';
import { by, instantOf, jsonOf, keyOf, Missing, nowOf, type Range, Superseded, tokenOf, WIDTH } from './values';

const MANDATORY = ['createdAt', 'updatedAt', 'workflow', 'workflowVersion', 'status'];
const ENDED = ['completed', 'cancelled', 'dead'];
const ACTIVE = ['pending', 'running', 'cancelling'];
const REACHED = ['completed', 'cancelled'];
const GIVEN_UP = ['failed', 'dead'];

/** How a store has listed a run for leasing: whether the run still is so. */
type Listed = (run: Run) => boolean;

/** What a store holds after a sequence of calls, by the contract alone. Rows are never changed, only replaced. */
export class ContractModel {
  constructor(
    private readonly range: Range,
    private runs: ReadonlyMap<string, Run> = new Map(),
    private checkpoints: ReadonlyMap<string, Kept> = new Map(),
    private waiters: ReadonlyMap<string, Kept> = new Map(),
    private signals: readonly Kept[] = [],
    private events: ReadonlyMap<string, Kept> = new Map(),
    /** How some store has listed runs in order to lease them. */
    private listed: ReadonlyMap<string, readonly Listed[]> = new Map(),
    /** Who has won the lease of a run through some store. */
    private winners: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
  ) {}

  /** Whether a store acts on what it remembers, listings and leases it won; what it forgot since is not modelled. */
  remembers = false;

  clone(): ContractModel {
    return new ContractModel(
      this.range,
      this.runs,
      this.checkpoints,
      this.waiters,
      this.signals,
      this.events,
      this.listed,
      this.winners,
    );
  }

  /** Equal models have equal text. */
  fingerprint(): string {
    const tables = [this.runs, this.checkpoints, this.waiters, this.events].map((table) =>
      [...table.values()].map(shown).sort(),
    );
    return JSON.stringify([tables, this.signals.map(shown)]);
  }

  createRun(_scope: string | undefined, run: WorkflowRun): void {
    const row = keptOnce(RUN, run, this.range) as Run;
    if (!this.runs.has(row.id)) this.runs = new Map(this.runs).set(row.id, row);
  }

  updateRun(scope: string | undefined, id: string, patch: Partial<WorkflowRun>): void {
    const names = Object.keys(patch).filter(
      (name) => name !== 'id' && name in RUN && !(patch[name as 'id'] === undefined && MANDATORY.includes(name)),
    );
    keyOf(id);
    const changed = kept(RUN, patch, this.range, names);
    const run = this.mine(scope, id);
    if (!run) throw new Missing();
    if (this.undoes(run, patch)) return;
    const freed = isReopening(patch) ? { lockedBy: undefined, lockedUntil: undefined } : {};
    this.runs = new Map(this.runs).set(id, { ...run, ...freed, ...changed } as Run);
  }

  getRun(scope: string | undefined, id: string): string | null {
    const run = this.mine(scope, keyOf(id));
    return run ? shown(run) : null;
  }

  deleteRun(scope: string | undefined, id: string): void {
    if (!this.mine(scope, keyOf(id)) && scope !== undefined) return;
    this.runs = without(this.runs, (run) => run.id === id);
    this.checkpoints = without(this.checkpoints, ({ runId }) => runId === id);
    this.waiters = without(this.waiters, ({ runId }) => runId === id);
  }

  pruneTerminalRuns(
    scope: string | undefined,
    policy: { statuses: string[]; maxAge?: number; maxCount?: number },
    nowMs: number,
    limit: number,
  ): number {
    nowOf(nowMs, this.range);
    const { maxAge, maxCount } = policy;
    const oldestFirst = by<Run>(
      (run) => run.updatedAt as number,
      (run) => run.id,
    );
    const of = this.all(scope).filter(
      ({ status }) => policy.statuses.includes(status) && [...ENDED, 'failed'].includes(status),
    );
    const sorted = of.sort(oldestFirst);
    const surplus = maxCount === undefined ? 0 : Math.max(0, sorted.length - maxCount);
    const cut = maxAge === undefined ? undefined : instantOf(nowMs - maxAge, this.range);
    const gone = sorted
      .filter((run, n) => n < surplus || (cut !== undefined && (run.updatedAt as number) < cut))
      .slice(0, limit);
    for (const { id } of gone) {
      this.deleteRun(scope, id);
      this.signals = this.signals.filter(({ token }) => token !== `child:${id}`);
    }
    return gone.length;
  }

  saveCheckpoint(scope: string | undefined, checkpoint: StepCheckpoint): void {
    const row = keptOnce(CHECKPOINT, checkpoint, this.range);
    if (!this.foreign(scope, row.runId as string) && !this.isDone(row)) this.putCheckpoint(row);
  }

  getCheckpoint(scope: string | undefined, runId: string, seq: number): string | null {
    return this.ofRun(scope, keyOf(runId)).find((row) => row.seq === seq)?.text ?? null;
  }

  listCheckpoints(scope: string | undefined, runId: string): string[] {
    return this.ofRun(scope, keyOf(runId)).map(({ text }) => text);
  }

  getLatestCheckpointByName(scope: string | undefined, runId: string, name: string): string | undefined {
    keyOf(name);
    return this.ofRun(scope, keyOf(runId))
      .filter((row) => row.name === name)
      .at(-1)?.text;
  }

  listCheckpointsByNamePrefix(scope: string | undefined, runId: string, prefixes: string[]): string[] {
    keyOf(runId);
    for (const prefix of prefixes) keyOf(prefix);
    const matching = (name: string) => prefixes.some((prefix) => name.startsWith(prefix));
    return this.ofRun(scope, runId)
      .filter(({ name }) => matching(name))
      .map(({ text }) => text);
  }

  listIncompleteRuns(scope: string | undefined, namespace?: string): string[] {
    const runs = this.all(scope, namespace).filter(({ status }) => ['running', 'cancelling'].includes(status));
    this.list(runs, isActive);
    return runs.sort(OLDEST_FIRST).map(shown);
  }

  listPendingRuns(scope: string | undefined, limit: number, namespace?: string): string[] {
    const runs = this.all(scope, namespace).filter(({ status }) => status === 'pending');
    this.list(runs, isActive);
    return runs.sort(OLDEST_FIRST).slice(0, limit).map(shown);
  }

  listDueTimers(scope: string | undefined, nowMs: number, namespace?: string): string[] {
    const now = nowOf(nowMs, this.range);
    const isDue: Listed = ({ status, wakeAt }) =>
      status === 'suspended' && (wakeAt === undefined || (wakeAt as number) <= now);
    const due = this.all(scope, namespace).filter((run) => run.wakeAt !== undefined && isDue(run));
    this.list(due, isDue);
    const longestDue = by<Run>(
      ({ wakeAt }) => wakeAt as number,
      ({ id }) => id,
    );
    return due.sort(longestDue).map(shown);
  }

  tryLockRun(scope: string | undefined, id: string, owner: string, untilMs: number, nowMs: number): boolean {
    keyOf(id);
    const lockedBy = keyOf(owner, WIDTH.short);
    const lockedUntil = instantOf(untilMs, this.range);
    const now = nowOf(nowMs, this.range);
    const run = this.mine(scope, id);
    if (!run || ENDED.includes(run.status)) return false;
    if (this.remembers && this.listed.get(id)?.some((stillListed) => !stillListed(run))) return false;
    if (run.lockedUntil !== undefined && (run.lockedUntil as number) > now) return false;
    this.runs = new Map(this.runs).set(id, { ...run, lockedBy, lockedUntil });
    this.winners = new Map(this.winners).set(id, new Set([...(this.winners.get(id) ?? []), lockedBy]));
    return true;
  }

  renewRunLock(scope: string | undefined, id: string, owner: string, untilMs: number): boolean {
    keyOf(id);
    keyOf(owner);
    const lockedUntil = instantOf(untilMs, this.range);
    const run = this.mine(scope, id);
    if (run?.lockedBy !== owner) return false;
    const ends = Math.max((run.lockedUntil as number | undefined) ?? lockedUntil, lockedUntil);
    this.runs = new Map(this.runs).set(id, { ...run, lockedUntil: ends });
    return true;
  }

  releaseRunLock(scope: string | undefined, id: string): void {
    const run = this.mine(scope, keyOf(id));
    if (!run) return;
    const isAnothers =
      this.remembers &&
      [...this.winners.values()].some((owners) => [...owners].some((owner) => owner !== run.lockedBy));
    if (!isAnothers) this.runs = new Map(this.runs).set(id, { ...run, lockedBy: undefined, lockedUntil: undefined });
  }

  putSignalWaiter(scope: string | undefined, { token, runId, seq, parallelGroup }: SignalWaiter): void {
    tokenOf(token);
    keyOf(runId, WIDTH.runId);
    if (parallelGroup !== undefined) keyOf(parallelGroup, WIDTH.short);
    const owner = this.waiters.get(token);
    if (this.foreign(scope, runId) || (owner && this.foreign(scope, owner.runId as string))) return;
    if (this.isLeftOver({ runId, seq })) return;
    this.waiters = new Map(this.waiters).set(token, { token, runId, seq, parallelGroup });
  }

  takeSignalWaiter(scope: string | undefined, token: string): string | null {
    const waiter = this.waiters.get(keyOf(token));
    if (!waiter || !this.owns(scope, waiter) || this.isLeftOver(waiter)) return null;
    this.waiters = without(this.waiters, (other) => other === waiter);
    return shown(waiter);
  }

  listSignalWaiters(scope: string | undefined, prefix: string): string[] {
    keyOf(prefix);
    const found = [...this.waiters.values()].filter(
      (waiter) => (waiter.token as string).startsWith(prefix) && this.owns(scope, waiter) && !this.isLeftOver(waiter),
    );
    const order = by<Kept>(
      ({ runId }) => runId as string,
      ({ seq }) => -(seq as number),
      ({ token }) => token as string,
    );
    return found.sort(order).map(shown);
  }

  removeSignalWaiter(scope: string | undefined, { token, runId, seq }: SignalWaiter): void {
    keyOf(runId);
    const waiter = this.waiters.get(keyOf(token));
    if (waiter?.runId !== runId || waiter.seq !== seq || !this.owns(scope, waiter)) return;
    this.waiters = without(this.waiters, (other) => other === waiter);
  }

  bufferSignal(_scope: string | undefined, token: string, payload: unknown): void {
    this.signals = [...this.signals, { token: tokenOf(token), payload: jsonOf(payload) }];
  }

  takeBufferedSignal(_scope: string | undefined, token: string): string | null {
    const oldest = this.signals.find((signal) => signal.token === keyOf(token));
    keyOf(token);
    if (!oldest) return null;
    this.signals = this.signals.filter((signal) => signal !== oldest);
    return shown({ payload: oldest.payload });
  }

  bufferEvent(_scope: string | undefined, event: BufferedEvent & { name: string }): void {
    const id = keyOf(event.id, WIDTH.short);
    const publishedAt = instantOf(event.publishedAt, this.range);
    const row = { id, name: keyOf(event.name, WIDTH.short), payload: jsonOf(event.payload), publishedAt };
    this.events = new Map(this.events).set(id, row);
  }

  listBufferedEvents(_scope: string | undefined, name: string, limit: number): string[] {
    keyOf(name, WIDTH.short);
    const order = by<Kept>(
      ({ publishedAt }) => publishedAt as number,
      ({ id }) => id as string,
    );
    const found = [...this.events.values()].filter((event) => event.name === name).sort(order);
    return found.slice(0, limit).map(({ id, payload, publishedAt }) => shown({ id, payload, publishedAt }));
  }

  removeBufferedEvent(_scope: string | undefined, id: string): boolean {
    const found = this.events.has(keyOf(id));
    this.events = without(this.events, (event) => event.id === id);
    return found;
  }

  /**
   * Checkpoints of a transaction: all of them, or none when its work throws or a step of it is completed already. The work gives
   * something else than it saves, as where a wrapper encodes payloads: only the same output tells what the other one's step gave.
   */
  transaction(scope: string | undefined, checkpoints: StepCheckpoint[], throws: boolean): string {
    const rows = checkpoints.map((checkpoint) => kept(CHECKPOINT, checkpoint, this.range));
    if (throws) return 'rolled back';
    const before = this.checkpoints;
    const own = new Set<string>();
    let again: { readonly there: Kept; readonly row: Kept } | undefined;
    for (const row of rows) {
      const there = own.has(positionOf(row)) ? undefined : before.get(positionOf(row));
      if (there && this.owns(scope, there) && isDoneAgain(there, row)) {
        again = { there, row };
        continue;
      }
      if (!this.foreign(scope, row.runId as string) && !this.isDone(row)) this.putCheckpoint(row);
      own.add(positionOf(row));
    }
    if (!again) return 'committed';
    this.checkpoints = before;
    if (!isDeepStrictEqual(again.there.output, again.row.output)) throw new Superseded();
    return 'committed';
  }

  listRuns(scope: string | undefined, query: RunQuery): string[] {
    const found = this.matching(scope, query).sort((a, b) => -OLDEST_FIRST(a, b));
    const from = query.offset ?? 0;
    if (query.statuses?.length === 1 && query.statuses[0] === 'blocked') {
      this.list(found, ({ status }) => status === 'blocked');
    }
    return found.slice(from, query.limit === undefined ? undefined : from + query.limit).map(shown);
  }

  runFacets(scope: string | undefined, query: RunQuery): string[] {
    const cells = this.matching(scope, query).map(({ status, origin }) =>
      JSON.stringify([status, (origin as string | undefined)?.trim() ? origin : null]),
    );
    return [...new Set(cells)].map((cell) => `${cell} ${cells.filter((other) => other === cell).length}`).sort();
  }

  private list(runs: readonly Run[], as: Listed): void {
    this.listed = new Map([
      ...this.listed,
      ...runs.map(({ id }) => [id, [...(this.listed.get(id) ?? []), as]] as const),
    ]);
  }

  /** Whether a patch would set back what the run has reached. A store knows whose lease it has won, if it remembers. */
  private undoes(run: Run, patch: Partial<WorkflowRun>): boolean {
    const { status } = patch;
    if (status === undefined || REACHED.includes(status) || isReopening(patch)) return false;
    if (ENDED.includes(run.status)) return true;
    if (GIVEN_UP.includes(status) || run.status !== 'failed') return false;
    return !(this.remembers && run.lockedBy !== undefined && this.winners.get(run.id)?.has(run.lockedBy as string));
  }

  /** Whether a waiter's step is completed. */
  private isLeftOver(waiter: Kept): boolean {
    return this.checkpoints.get(positionOf(waiter))?.status === 'completed';
  }

  /** Whether a checkpoint would set back a step that is done, of a run that has not been given up. */
  private isDone(row: Kept): boolean {
    const there = this.checkpoints.get(positionOf(row));
    if (there?.status !== 'completed' || row.status === 'completed') return false;
    return !GIVEN_UP.includes(this.runs.get(row.runId as string)?.status ?? '');
  }

  private putCheckpoint(row: Kept): void {
    this.checkpoints = new Map(this.checkpoints).set(positionOf(row), row);
  }

  private matching(scope: string | undefined, query: RunQuery): Run[] {
    checkQuery(query);
    return this.all(scope).filter((run) => matches(run, query));
  }

  private all(scope: string | undefined, namespace?: string): Run[] {
    if (namespace !== undefined) keyOf(namespace);
    return [...this.runs.values()].filter((run) =>
      [scope, namespace].every((wanted) => wanted === undefined || run.namespace === wanted),
    );
  }

  private mine(scope: string | undefined, id: string): Run | undefined {
    const run = this.runs.get(id);
    return run && (scope === undefined || run.namespace === scope) ? run : undefined;
  }

  /** Whether a row of this run is kept from a confined store that would write it: the run is another namespace's. */
  private foreign(scope: string | undefined, runId: string): boolean {
    const run = this.runs.get(runId);
    return scope !== undefined && run !== undefined && run.namespace !== scope;
  }

  private owns(scope: string | undefined, row: Kept): boolean {
    return scope === undefined || this.mine(scope, row.runId as string) !== undefined;
  }

  private ofRun(scope: string | undefined, runId: string): { seq: number; name: string; text: string }[] {
    const rows = [...this.checkpoints.values()].filter((row) => row.runId === runId && this.owns(scope, row));
    return rows
      .map((row) => ({ seq: row.seq as number, name: row.name as string, text: shown(row) }))
      .sort((a, b) => a.seq - b.seq);
  }
}

function isActive({ status }: Run): boolean {
  return ACTIVE.includes(status);
}

function isReopening(patch: Partial<WorkflowRun>): boolean {
  return patch.status === 'pending' && 'error' in patch && patch.error === undefined;
}

function positionOf({ runId, seq }: Kept): string {
  return `${runId}\u0000${seq}`;
}

function isDoneAgain(there: Kept, row: Kept): boolean {
  return there.status === 'completed' && row.status === 'completed' && there.name === row.name;
}

function without<T>(table: ReadonlyMap<string, T>, gone: (row: T) => boolean): ReadonlyMap<string, T> {
  return new Map([...table].filter(([, row]) => !gone(row)));
}
