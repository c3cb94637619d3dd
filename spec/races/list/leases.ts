import { aRun, freshId } from '../../support/fixtures';
import { oneWinner } from '../order';
import type { Arena, Call, Race } from '../race';

interface Leased {
  readonly runId: string;
}

/**
 * Half of the calls come when the lease is free, the other half, in their own time, when the first half's would just have
 * expired: one of those wins in any case, and at most one of the others, before it.
 */
export const lockContention: Race<Leased, boolean> = {
  name: 'lock-contention',

  async prepare({ store }) {
    const { id } = aRun({ id: freshId(), status: 'running' });
    await store.createRun(aRun({ id, status: 'running' }));
    return { runId: id };
  },

  call: (contender, { runId }, n) => contender.store(n).tryLockRun(runId, ownerOf(n), nowOf(n) + LEASE_MS, nowOf(n)),

  async judge(arena, { runId }, calls) {
    const [early, late] = [calls.filter(({ n }) => !isLate(n)), calls.filter(({ n }) => isLate(n))];
    const [first, ...more] = early.filter(({ answer }) => answer);
    const winner = late.find(({ answer }) => answer);
    return [
      ...oneWinner('the expired lease', late, ({ answer }) => answer),
      ...(more.length > 0 ? [`the free lease: ${more.length + 1} winners`] : []),
      ...(first && winner && winner.to < first.from ? ['a lease was taken before it expired'] : []),
      ...(await expectOwner(arena, runId, winner && ownerOf(winner.n))),
    ];
  },
};

const LEASE_MS = 10;

function isLate(n: number): boolean {
  return Math.floor(n / 4) % 2 === 1;
}

function nowOf(n: number): number {
  return isLate(n) ? 110 : 100;
}

function ownerOf(n: number): string {
  return `owner-${n}`;
}

/** The holder of an expired lease renews it while others take it over: one or the other, never both. */
export const renewalAgainstTakeOver: Race<Leased, boolean> = {
  name: 'renewal-take-over',

  async prepare({ store }) {
    const run = aRun({ id: freshId(), status: 'running', lockedBy: 'holder', lockedUntil: 100 });
    await store.createRun(run);
    return { runId: run.id };
  },

  call: (contender, { runId }, n) =>
    isRenewal(n)
      ? contender.store(n).renewRunLock(runId, 'holder', 500)
      : contender.store(n).tryLockRun(runId, ownerOf(n), 300, 100),

  async judge(arena, { runId }, calls) {
    const renewals = calls.filter(({ n }) => isRenewal(n));
    const takeOvers = calls.filter(({ n }) => !isRenewal(n));
    const thief = takeOvers.find(({ answer }) => answer);
    arena.note('taken over', thief ? 1 : 0);
    return [
      ...(thief ? oneWinner('the take-over', takeOvers, ({ answer }) => answer) : []),
      ...renewals.filter(({ answer }) => answer === Boolean(thief)).map(({ n }) => renewalFault(n, thief)),
      ...(await expectOwner(arena, runId, thief ? ownerOf(thief.n) : 'holder')),
    ];
  },
};

function isRenewal(n: number): boolean {
  return Math.floor(n / 3) % 3 === 0;
}

function renewalFault(n: number, thief: Call | undefined): string {
  return thief ? `call ${n} renewed a lease that call ${thief.n} took` : `call ${n} lost a lease that nobody took`;
}

interface LeasedRuns {
  readonly runIds: readonly string[];
}

/** Claims on many runs that go to the database together, while others write to the same rows: each run goes to one of them. */
export const leasesOfManyRuns: Race<LeasedRuns, boolean | null> = {
  name: 'leases-of-many-runs',

  async prepare({ store }) {
    const runs = Array.from({ length: 8 }, () => aRun({ id: freshId(), status: 'running' }));
    await Promise.all(runs.map((run) => store.createRun(run)));
    return { runIds: runs.map(({ id }) => id) };
  },

  async call(contender, { runIds }, n) {
    const runId = runIds[n % runIds.length] as string;
    if (!isWrite(n)) return contender.store(n).tryLockRun(runId, ownerOf(n), endOf(n), 100);
    await contender.store(n).updateRun(runId, { output: n });
    return null;
  },

  async judge({ store }, { runIds }, calls) {
    const faults = runIds.map(async (runId, position) => {
      const claims = calls.filter(({ n }) => n % runIds.length === position && !isWrite(n));
      const winner = claims.find(({ answer }) => answer);
      const { lockedBy, lockedUntil } = (await store.getRun(runId)) ?? {};
      const isTheirs = lockedBy === (winner && ownerOf(winner.n)) && lockedUntil === (winner && endOf(winner.n));
      return [
        ...(claims.length > 0 ? oneWinner(runId, claims, ({ answer }) => answer === true) : []),
        ...(isTheirs ? [] : [`${runId} belongs to ${lockedBy} until ${lockedUntil}, won by call ${winner?.n}`]),
      ];
    });
    return (await Promise.all(faults)).flat();
  },
};

function isWrite(n: number): boolean {
  return Math.floor(n / 8) % 4 === 1;
}

/** So far away that no claim comes too late to be won, however busy the machine is. */
function endOf(n: number): number {
  return 86_400_000 + n;
}

async function expectOwner({ store }: Arena, runId: string, owner: string | undefined): Promise<string[]> {
  const found = (await store.getRun(runId))?.lockedBy;
  return found === owner ? [] : [`the lease belongs to ${found}, not to ${owner}`];
}
