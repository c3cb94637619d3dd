import type { EntityManager } from '@mikro-orm/core';
import { RETRY_FOR_MS } from './attempts';
import type { Dialect } from './dialect';
import { DurableClosedError, DurableRunNotFoundError, DurableTransactionError } from './errors';
import { checkpointRow, type Groups, groupsOf } from './groups';
import { LeaseGuards } from './lease-guards';
import type { Claim, Release } from './leases';
import { checkCount, checkInteger, checkText } from './limits';
import type { ListedAs } from './listed-runs';
import { checkBound, type MikroOrmStateStoreOptions, type Settings, settingsOf } from './options';
import { emOfOrm } from './orm-like';
import { type Question, Questions } from './questions';
import { type Batch, boundsOf } from './retention';
import { ensureSchemaOnBoot, planMikroOrmDurableSchema } from './schema';
import { type OrmLike, type Row, Session } from './session';
import { Sharing } from './sharing';
import { Statements } from './statements';
import { StepHandle, Superseded } from './step-handle';
import { inTransaction } from './step-transaction';
import { tablesOf } from './tables';
import type {
  BufferedEvent,
  RetentionPolicy,
  RunFacet,
  RunFacetQuery,
  RunQuery,
  SignalWaiter,
  StateStore,
  StepCheckpoint,
  StoreTransaction,
  WorkflowRun,
} from './types';

/**
 * The state of durable workflows in five tables of the application's own database.
 *
 * Every method resolves after its effect is committed and visible to everybody, reads from the primary, and stays out of
 * any transaction the caller has open. Input that does not fit is refused with a `DurableInputError` before any
 * SQL; what the database refuses is a `DurableDatabaseError` after transient failures were retried.
 */
export class MikroOrmStateStore implements StateStore {
  private readonly em: EntityManager;
  private readonly options: Settings;
  private readonly statements: Statements;
  private readonly session: Session;
  private readonly guards: LeaseGuards;
  private readonly joined: EntityManager | undefined;
  private ownCalls: SharedCalls | undefined;

  /**
   * @throws TypeError for anything but a MikroORM instance, and for an option of another name or kind; before any SQL
   * @throws DurableConfigurationError when the ORM lacks our entities or its database is not supported
   */
  constructor(orm: OrmLike, options?: MikroOrmStateStoreOptions);
  /** @internal */
  constructor(orm: OrmLike, options: undefined, view: View);
  constructor(
    private readonly orm: OrmLike,
    options?: MikroOrmStateStoreOptions,
    view?: View,
  ) {
    this.em = emOfOrm(orm);
    this.options = view?.options ?? settingsOf(options);
    this.session = view?.session ?? new Session(this.em, this.options.retry, false, () => remedy(orm));
    this.guards = view?.guards ?? new LeaseGuards();
    this.joined = view?.joined;
    this.statements = view?.statements ?? new Statements(tablesOf(this.em, this.options.codec), undefined);
  }

  /**
   * Add what is missing of the five tables. Idempotent and safe from many processes; see {@link ensureMikroOrmDurableSchema}. On a
   * MySQL group with several primaries it only looks, and says what to run from one place.
   *
   * @throws DurableSchemaError
   */
  async ensureSchema(): Promise<void> {
    this.session.assertNotBlocked();
    await ensureSchemaOnBoot(this.joined ?? this.orm, { retry: this.options.retry });
  }

  /**
   * The same store confined to a namespace: it reads, takes and changes only runs of that namespace and what belongs to
   * them. A run created through it belongs to that namespace unless it names another, which it is then handed over to. Buffered
   * signals and events belong to no run and are shared. Without a namespace nothing is confined.
   */
  withScope(scope: { namespace?: string | undefined }): MikroOrmStateStore {
    if (scope.namespace !== undefined) checkText(scope.namespace, 'namespace');
    const statements = new Statements(this.statements.tables, scope.namespace);
    return new MikroOrmStateStore(this.orm, undefined, { ...this.view(), statements });
  }

  /**
   * The same store inside the open transaction of `em`: its writes commit or roll back with the host's own. Nothing is
   * retried, and nobody else sees a write before the commit.
   *
   * @throws DurableTransactionError `DURABLE_TRANSACTION_REQUIRED` when `em` is in no transaction
   */
  withTransaction(em: EntityManager): MikroOrmStateStore {
    if (!em.isInTransaction()) {
      throw new DurableTransactionError(
        'DURABLE_TRANSACTION_REQUIRED',
        'withTransaction: the EntityManager is in no transaction',
      );
    }
    return new MikroOrmStateStore(this.orm, undefined, {
      ...this.view(),
      session: this.session.within(em),
      joined: em,
    });
  }

  /** Store a new run with its attributes, atomically. A run that exists is left as it is. */
  async createRun(run: WorkflowRun): Promise<void> {
    const row = this.statements.runs.params(run);
    if (this.statements.runs.hasAttributes(run)) {
      await this.session.transaction('createRun', 'repeatable', (sql) =>
        this.statements.runs.createWithAttributes(sql, run, row),
      );
    } else {
      await this.shared.groups.createRun.submit({ key: run.id, row });
    }
  }

  /**
   * Set the keys present in `patch`, `undefined` clearing a field; everything else stays. Attributes change atomically
   * with the run. Patches of one run through one store are made in the order of the calls.
   *
   * @throws DurableRunNotFoundError
   */
  async updateRun(runId: string, patch: Partial<WorkflowRun>): Promise<void> {
    checkText(runId, 'runId');
    const change = this.statements.runs.change(runId, patch);
    const found = this.guards.write(runId, () =>
      this.shared.groups.updateRun.submit({ ...change, holder: this.guards.resumer(runId) }),
    );
    if (change.guard === 'ended') this.guards.gaveUp(runId);
    if (!(await found)) throw new DurableRunNotFoundError(runId);
  }

  /** @throws DurableRowError for a run that cannot be read; see {@link listRuns} for what can be done about it */
  async getRun(runId: string): Promise<WorkflowRun | null> {
    checkText(runId, 'runId');
    return this.guards.read(runId, async () => {
      const read = await this.shared.groups.getRun.submit(runId);
      return read();
    });
  }

  /** Delete a run, its checkpoints, waiters and attributes in one transaction. Buffered signals stay. */
  async deleteRun(runId: string): Promise<void> {
    checkText(runId, 'runId');
    await this.session.transaction('deleteRun', 'repeatable', (sql) => this.statements.runs.delete(sql, runId));
    this.guards.forget(runId);
  }

  /**
   * Delete at most `limit` finished runs outside `policy`, longest finished first, each with all that belongs to it. Statuses
   * that are not terminal are never pruned. Many runs, or runs of many steps, go in several transactions of at most 1,000 runs
   * or about 10,000 checkpoints, and of one run at least. Returns how many runs were deleted.
   */
  async pruneTerminalRuns(policy: RetentionPolicy, nowMs: number, limit: number): Promise<number> {
    const bounds = boundsOf(policy, nowMs);
    if (bounds === null || limit <= 0) return 0;
    checkCount(limit, 'limit');
    let deleted = 0;
    for (let more = true; more; ) {
      const batch: Batch = { ids: [], isCut: false };
      const last = await this.session.transaction('pruneTerminalRuns', 'repeatable', (sql) =>
        this.statements.retention.prune(sql, bounds, limit - deleted, this.options.pruneCompletions, batch),
      );
      deleted += last;
      more = batch.isCut && last > 0;
    }
    return deleted;
  }

  /** @throws DurableRowError for a checkpoint that cannot be read */
  async getCheckpoint(runId: string, seq: number): Promise<StepCheckpoint | null> {
    checkText(runId, 'runId');
    checkInteger(seq, 'seq');
    const read = await this.shared.groups.getCheckpoint.submit({ runId, seq });
    return read();
  }

  /** Write a checkpoint in place of any at its `(runId, seq)`: every column, absent fields as NULL. */
  async saveCheckpoint(checkpoint: StepCheckpoint): Promise<void> {
    const { runId } = checkpoint;
    const row = this.statements.checkpoints.params(checkpoint);
    await this.guards.write(runId, () =>
      this.statements.namespace === undefined
        ? this.shared.groups.saveCheckpoint.submit(checkpointRow(checkpoint, row))
        : this.session.call('saveCheckpoint', 'repeatable', (sql) =>
            this.statements.checkpoints.saveConfined(sql, runId, row),
          ),
    );
  }

  /**
   * All checkpoints of a run in `seq` order. One that cannot be read is among them: what can be read of it is there, and the rest
   * throws a `DurableRowError` when it is looked at, so that the engine fails the run whose step needs it, and no other.
   */
  async listCheckpoints(runId: string): Promise<StepCheckpoint[]> {
    checkText(runId, 'runId');
    const read = await this.shared.groups.listCheckpoints.submit(runId);
    return read();
  }

  /**
   * The checkpoint of exactly this name with the highest `seq`.
   *
   * @throws DurableRowError for one that cannot be read
   */
  async getLatestCheckpointByName(runId: string, name: string): Promise<StepCheckpoint | undefined> {
    checkText(runId, 'runId');
    checkText(name, 'name');
    return this.session.call('getLatestCheckpointByName', 'repeatable', (sql) =>
      this.statements.checkpoints.latestByName(sql, runId, name),
    );
  }

  /** The checkpoints whose name literally begins with any of `prefixes`, in `seq` order; see {@link listCheckpoints}. */
  async listCheckpointsByNamePrefix(runId: string, prefixes: string[]): Promise<StepCheckpoint[]> {
    checkText(runId, 'runId');
    if (prefixes.length === 0) return [];
    return this.session.call('listCheckpointsByNamePrefix', 'repeatable', (sql) =>
      this.statements.checkpoints.listByNamePrefix(sql, runId, prefixes),
    );
  }

  /** Runs in `running` or `cancelling`, leased or not, oldest first. Without those that cannot be read, like every list of runs to execute. */
  async listIncompleteRuns(namespace?: string): Promise<WorkflowRun[]> {
    const runs = await polled(() =>
      this.scan('listIncompleteRuns', (dialect) => this.statements.listings.incomplete(dialect, namespace)),
    );
    this.guards.listed('active', runs);
    return runs;
  }

  /** The oldest `limit` runs in `pending`, by `createdAt` and then `id`. */
  async listPendingRuns(limit: number, namespace?: string): Promise<WorkflowRun[]> {
    const label = 'listPendingRuns';
    const ask = (question: Question) => this.shared.questions.ask(label, question);
    const runs = await polled(async () =>
      this.statements.listings.pending(ask, await this.session.dialect(label), limit, namespace),
    );
    this.guards.listed('active', runs);
    return runs;
  }

  /** Suspended runs with `wakeAt <= nowMs`, longest due first. */
  async listDueTimers(nowMs: number, namespace?: string): Promise<WorkflowRun[]> {
    const runs = await polled(() =>
      this.scan('listDueTimers', (dialect) => this.statements.listings.due(dialect, nowMs, namespace)),
    );
    this.guards.listed({ dueAtMs: nowMs }, runs);
    return runs;
  }

  /**
   * Take the lease if nobody holds it at `nowMs`, and true for the one caller that did. Runs that have ended (`completed`,
   * `cancelled`, `dead`) are not leased: a peer that listed one before it ended would run it again. For the same reason a
   * lease asked for a run that this store has listed to pick up, recover or wake is refused if the run is no longer as it was
   * listed; one asked for right after {@link getRun} of the run is not.
   *
   * A lease is worth its whole time when the call resolves: where a lock or an outage holds the answer up for a quarter of that
   * time (at least 250 ms), it is asked again as of then, so that it ends as much later. For `retry.forMs` at most; then false.
   */
  async tryLockRun(runId: string, owner: string, leaseUntilMs: number, nowMs: number): Promise<boolean> {
    checkText(runId, 'runId');
    const { leases } = this.statements;
    const asked = leases.claim(runId, owner, leaseUntilMs, nowMs);
    return this.guards.claim({ runId, owner, nowMs }, (as) => this.leased(asked, as));
  }

  /**
   * Free the lease once the turn that ends has made its last write, and after `releaseWaitMs` in any case. A store through
   * which leases are won frees those of its own engines only: whoever stalled for too long must not free the lease of the one
   * that took over. Any other store frees a lease whoever holds it.
   */
  async releaseRunLock(runId: string): Promise<void> {
    checkText(runId, 'runId');
    const free = (owners: readonly string[] | undefined) => this.freed({ runId, owners });
    await this.session.counted(() => this.guards.release(runId, this.options.releaseWaitMs, free));
  }

  /** Extend the lease, and true, if `owner` still holds it. */
  async renewRunLock(runId: string, owner: string, leaseUntilMs: number): Promise<boolean> {
    checkText(runId, 'runId');
    checkText(owner, 'lease owner');
    const renewal = this.statements.leases.renewal(runId, owner, leaseUntilMs);
    return this.guards.write(runId, () => this.shared.groups.renewRunLock.submit(renewal));
  }

  /** Make `waiter` the one its token wakes, in place of any other, unless its step is completed. */
  async putSignalWaiter(waiter: SignalWaiter): Promise<void> {
    const { token, runId } = waiter;
    const row = this.statements.waiters.params(waiter);
    if (this.statements.namespace === undefined) await this.shared.groups.putSignalWaiter.submit({ key: token, row });
    else
      await this.session.call('putSignalWaiter', 'repeatable', (sql) =>
        this.statements.waiters.putConfined(sql, runId, row),
      );
  }

  /**
   * Remove the waiter on `token` and return it, or null. Of any number of callers exactly one receives it. A waiter whose
   * step is completed is left over from an older turn, and is neither taken nor listed.
   *
   * @throws DurableRowError for one that cannot be read; it stays
   */
  async takeSignalWaiter(token: string): Promise<SignalWaiter | null> {
    checkText(token, 'token');
    const { returning } = await this.session.dialect('takeSignalWaiter');
    if (returning) return this.shared.groups.takeSignalWaiter.submit(token);
    const label = 'takeSignalWaiter';
    const attempt = () => this.session.call(label, 'once', (sql) => this.statements.waiters.takeByCount(sql, token));
    const first = await attempt();
    // Mostly it was the only one, which a second look tells for less than a transaction.
    const outcome = first === 'present' ? await attempt() : first;
    if (outcome !== 'present') return outcome;
    return this.session.transaction(label, 'once', (sql) => this.statements.waiters.takeLocked(sql, token));
  }

  /** Waiters whose token literally begins with `prefix` (`''`: all), by run, furthest step first; without those that cannot be read. */
  async listSignalWaiters(prefix: string): Promise<SignalWaiter[]> {
    const label = 'listSignalWaiters';
    const question = this.statements.waiters.list(await this.session.dialect(label), prefix);
    return this.statements.waiters.decode(await this.shared.questions.ask(label, question));
  }

  /** Remove exactly this waiter; silent when token, run or step differ. */
  async removeSignalWaiter(waiter: SignalWaiter): Promise<void> {
    checkText(waiter.token, 'waiter.token');
    checkText(waiter.runId, 'waiter.runId');
    checkInteger(waiter.seq, 'waiter.seq');
    await this.session.call('removeSignalWaiter', 'repeatable', (sql) => this.statements.waiters.remove(sql, waiter));
  }

  /** Append a signal for whoever waits on `token` next. */
  async bufferSignal(token: string, payload: unknown): Promise<void> {
    await this.shared.groups.bufferSignal.submit(this.statements.buffered.params(token, payload));
  }

  /**
   * Remove the oldest buffered signal of `token` and return it; null only when there was none. Each goes to one caller.
   *
   * @throws DurableRowError for one that cannot be read; it stays, and with it those behind it, until it is mended or deleted
   */
  async takeBufferedSignal(token: string): Promise<{ payload: unknown } | null> {
    checkText(token, 'token');
    const outcome = await this.shared.groups.takeBufferedSignal.submit(token);
    if (outcome !== 'present') return outcome;
    const looksFirst = (dialect: Dialect) => this.statements.buffered.looksFirst(dialect);
    return this.session.removal('takeBufferedSignal', looksFirst, (sql) =>
      this.statements.buffered.takeOldest(sql, token),
    );
  }

  /** Keep a published event until a waiter claims it. */
  async bufferEvent(event: BufferedEvent & { name: string }): Promise<void> {
    // Whoever it woke has removed it since: buffered again it would wake another.
    await this.session.call('bufferEvent', 'once', (sql) => this.statements.events.buffer(sql, event));
  }

  /** The oldest `limit` buffered events of exactly this name, left in place; without those that cannot be read. */
  async listBufferedEvents(name: string, limit: number): Promise<BufferedEvent[]> {
    return this.session.call('listBufferedEvents', 'repeatable', (sql) =>
      this.statements.events.list(sql, name, limit),
    );
  }

  /** Delete a buffered event; true for the one caller that deleted it. */
  async removeBufferedEvent(id: string): Promise<boolean> {
    checkText(id, 'event.id');
    return this.session.call('removeBufferedEvent', 'once', (sql) => this.statements.events.remove(sql, id));
  }

  /**
   * Run `work` in one transaction and commit it together with the checkpoints saved through its handle; roll back and
   * rethrow when it throws. `raw` is the transactional `EntityManager`; entities persisted on it are flushed before the
   * commit. `work` runs once: nothing in it is retried.
   *
   * A step is completed once. When another execution of it has committed first, this one is rolled back, and the result is
   * what that one returned.
   */
  async transaction<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    this.session.assertNotBlocked();
    const retry = this.joined ? { attempts: 1 } : this.options.retry;
    let step: StepHandle | undefined;
    const once = async (em: EntityManager): Promise<T> => {
      step = new StepHandle(
        this.session.within(em),
        this.statements.checkpoints,
        this.statements.namespace !== undefined,
        this.joined !== undefined,
      );
      const saves = step;
      const result = await work({ raw: em, saveCheckpoint: (checkpoint) => saves.save(checkpoint) });
      saves.assertFirst(result);
      return result;
    };
    /** What became of work whose commit was not answered. */
    const lookUp = async (result: T, cause: Error): Promise<T> => {
      await step?.assertCommitted(this.session, result, cause);
      return result;
    };
    /** What becomes of work that the database undid. */
    const undone = async (result: unknown, error: unknown): Promise<T> => {
      await step?.assertNotDone(this.session, result);
      throw error;
    };
    try {
      return await this.session.slotted('transaction', () =>
        inTransaction(
          this.joined ?? this.em,
          this.statements.tables,
          this.joined !== undefined,
          retry,
          once,
          lookUp,
          undone,
        ),
      );
    } catch (error) {
      if (error instanceof Superseded) return error.value as T;
      throw error;
    }
  }

  /**
   * The runs a query matches, newest first (`createdAt`, then `id`), paged by `limit` and `offset`.
   *
   * A run that cannot be read is among them, without what cannot be read of it, without `wakeAt`, and with an `error` of the code
   * `DURABLE_UNREADABLE_ROW` that names it. `updateRun` mends or ends it, `deleteRun` removes it; neither needs to read it.
   */
  async listRuns(query: RunQuery): Promise<WorkflowRun[]> {
    const all = (rows: readonly Row[]) => this.statements.listings.all(rows);
    const scan = () => this.scan('listRuns', (dialect) => this.statements.listings.matching(dialect, query), all);
    if (!isBlockedScan(query)) return scan();
    const runs = await polled(scan);
    this.guards.listed('blocked', runs);
    return runs;
  }

  /** How many runs of each status and origin a query matches; combinations without runs are absent. */
  async runFacets(query: RunFacetQuery = {}): Promise<RunFacet[]> {
    return this.session.call('runFacets', 'repeatable', (sql) => this.statements.listings.facets(sql, query));
  }

  /**
   * Resolve when none of this store's calls is under way, and after `boundMs` (default 10,000; `Infinity`: never) in any case. Call
   * it between the engine's `drain` and closing the ORM: `drain` does not wait for what a run that has just ended sends its parent.
   *
   * @throws TypeError when `boundMs` is no duration
   */
  async settled(boundMs = 10_000): Promise<void> {
    checkBound(boundMs);
    await this.session.settled(boundMs);
  }

  /** Take a lease that has most of its time left when its holder learns of it. */
  private async leased(asked: Claim, as: ListedAs | undefined): Promise<boolean> {
    const until = performance.now() + (this.options.retry.forMs ?? RETRY_FOR_MS);
    const { tryLockRun, renewRunLock } = this.shared.groups;
    let claim = { ...asked, as };
    let isHeld = await tryLockRun.submit(claim);
    while (claim.isLate() && performance.now() < until) {
      claim = { ...claim.again(), as };
      // Whoever has won it and lost it since does not ask again: somebody else works on the run.
      const isWon: boolean = await (isHeld ? renewRunLock : tryLockRun).submit(claim);
      if (isHeld && !isWon) return false;
      isHeld = isWon;
    }
    if (!isHeld || !claim.isLate()) return isHeld;
    // What cannot be given back lapses by itself.
    const release = { runId: claim.runId, owners: [claim.owner] };
    await this.guards.giveBack(claim.runId, () => this.freed(release)).catch(() => undefined);
    return false;
  }

  private async freed(release: Release): Promise<void> {
    await this.shared.groups.releaseRunLock.submit(release);
  }

  private async scan(
    label: string,
    select: (dialect: Dialect) => Question | null,
    decode: (rows: readonly Row[]) => WorkflowRun[] = (rows) => this.statements.listings.readable(rows),
  ): Promise<WorkflowRun[]> {
    const question = select(await this.session.dialect(label));
    return question === null ? [] : decode(await this.shared.questions.ask(label, question));
  }

  /** What calls of this store share with each other; made when there is a first. */
  private get shared(): SharedCalls {
    if (!this.ownCalls) {
      // Inside the caller's transaction every call is its own: its failure belongs to nobody else.
      const sharing = new Sharing(this.session, this.joined ? false : this.options.groupCommit);
      this.ownCalls = { groups: groupsOf(sharing, this.statements), questions: new Questions(sharing) };
    }
    return this.ownCalls;
  }

  private view(): View {
    const { options, statements, session, guards, joined } = this;
    return { options, statements, session, guards, joined };
  }
}

interface SharedCalls {
  readonly groups: Groups;
  readonly questions: Questions;
}

/** What views of one store share, and what sets them apart. */
interface View {
  readonly options: Settings;
  readonly statements: Statements;
  readonly session: Session;
  readonly guards: LeaseGuards;
  readonly joined: EntityManager | undefined;
}

async function remedy(orm: OrmLike): Promise<readonly string[]> {
  return (await planMikroOrmDurableSchema(orm)).statements;
}

/** Whether the query is the engine's for runs to try again, which it then leases one after the other. */
function isBlockedScan({ statuses, status, workflow, tag }: RunQuery): boolean {
  return statuses?.length === 1 && statuses[0] === 'blocked' && !status && !workflow && !tag;
}

/**
 * A poll of the engine. One that is under way while the host closes the ORM finds nothing: nobody is left to act on it, and the
 * engine's poller takes a failure for the end of the process.
 */
async function polled(scan: () => Promise<WorkflowRun[]>): Promise<WorkflowRun[]> {
  try {
    return await scan();
  } catch (error) {
    if (error instanceof DurableClosedError) return [];
    throw error;
  }
}
