import { MikroOrmStateStore, type OrmLike, type WorkflowRun, WorkflowRunEntity } from '../../lib';

/** Which guards of the lease are in force; see docs/guarantees.md. */
export interface Guards {
  readonly name: string;
  /** `tryLockRun` refuses runs that have ended. */
  readonly terminal: boolean;
  /** `releaseRunLock` waits for the store's other calls of the run. */
  readonly quiescent: boolean;
  /** `tryLockRun` refuses a run at rest that the store had listed as active. */
  readonly listed: boolean;
}

export const GUARDS: readonly Guards[] = [
  { name: 'none', terminal: false, quiescent: false, listed: false },
  { name: 'ended runs are not leased', terminal: true, quiescent: false, listed: false },
  { name: 'the release waits', terminal: false, quiescent: true, listed: false },
  { name: 'both', terminal: true, quiescent: true, listed: false },
  { name: 'both, and listings are remembered', terminal: true, quiescent: true, listed: true },
];

/** The store, or what it would be without its guards: then a lease depends on its own columns only, as in the reference. */
export class GuardedStore extends MikroOrmStateStore {
  /** Lists for a store that is to remember nothing of it. */
  private readonly lister: MikroOrmStateStore;

  constructor(
    private readonly host: OrmLike,
    private readonly inForce: Guards,
  ) {
    super(host);
    this.lister = new MikroOrmStateStore(host);
  }

  override listIncompleteRuns(namespace?: string): Promise<WorkflowRun[]> {
    return this.inForce.listed ? super.listIncompleteRuns(namespace) : this.lister.listIncompleteRuns(namespace);
  }

  override listPendingRuns(limit: number, namespace?: string): Promise<WorkflowRun[]> {
    return this.inForce.listed
      ? super.listPendingRuns(limit, namespace)
      : this.lister.listPendingRuns(limit, namespace);
  }

  override async tryLockRun(runId: string, owner: string, leaseUntilMs: number, nowMs: number): Promise<boolean> {
    if (this.inForce.terminal) return super.tryLockRun(runId, owner, leaseUntilMs, nowMs);
    const free = { $or: [{ lockedUntil: null }, { lockedUntil: { $lte: nowMs } }] };
    const lease = { lockedBy: owner, lockedUntil: leaseUntilMs };
    return (await this.host.em.fork().nativeUpdate(WorkflowRunEntity, { id: runId, ...free }, lease)) === 1;
  }

  override async releaseRunLock(runId: string): Promise<void> {
    if (this.inForce.quiescent) return super.releaseRunLock(runId);
    await this.host.em.fork().nativeUpdate(WorkflowRunEntity, { id: runId }, { lockedBy: null, lockedUntil: null });
  }
}
