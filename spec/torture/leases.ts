import { counted, type History, type RunHistory } from './history';
import type { Judgement } from './judge';

type Turn = RunHistory['turns'][number];
type Lease = RunHistory['leases'][number];

/** Why two turns of one run overlapped. Only `two owners` is the store's doing. */
export type Overlap =
  | 'stopped past the lease'
  | 'lease not renewed in time'
  | 'freed by a release'
  | 'same process'
  | 'two owners'
  | 'no lease on record';

/** Whether the store may have caused it. */
export function isViolation(overlap: Overlap): boolean {
  return overlap === 'two owners' || overlap === 'no lease on record';
}

/** How a process could execute a run while another did. */
export function whyOverlapping(history: History, one: Turn, other: Turn): Overlap {
  if (one.by === other.by) return 'same process';
  const leases = [one, other].map((turn) =>
    history.of(turn.run).leases.findLast(({ by, at }) => by === turn.by && at <= turn.at),
  );
  const [first, second] = leases.filter((lease) => lease !== undefined).sort((a, b) => a.at - b.at);
  if (!first || !second) return 'no lease on record';
  return whyGranted(history, first, second);
}

/** Why `second` was granted after `first` had been. */
function whyGranted(history: History, first: Lease, second: Lease): Overlap {
  const run = history.of(first.run);
  const renewals = run.renewals.filter(({ by, at }) => by === first.by && at >= first.at && at <= second.calledAt);
  const until = Math.max(first.untilMs, ...renewals.map(({ untilMs }) => untilMs));
  if (second.nowMs >= until) {
    const stops = history.stops.get(first.by) ?? [];
    const stopped = stops.some((stop) => stop.until >= first.calledAt && stop.from <= second.at);
    return stopped ? 'stopped past the lease' : 'lease not renewed in time';
  }
  return freedBy(history, first, second) ? 'freed by a release' : 'two owners';
}

/** A lease is granted only when no other is in force, as the clocks of those who asked have it. */
export function judgeLeases(history: History): Judgement {
  const violations: string[] = [];
  const notes: string[] = [];
  let granted = 0;
  for (const { run, leases } of history.runs.values()) {
    granted += leases.length;
    for (const [position, second] of leases.entries()) {
      const first = leases[position - 1];
      // Two calls under way at the same time are in no order.
      if (!first || first.at > second.calledAt) continue;
      const why = whyGranted(history, first, second);
      if (why === 'two owners') violations.push(`${run}: leased to ${second.by} while ${first.by} held it`);
      else if ((history.gone.get(first.by)?.at ?? Infinity) < second.at)
        notes.push('granted after its process was gone');
      else if (why !== 'freed by a release') notes.push(`granted after another, ${why}`);
      else if (!freedBy(history, first, second, first.by)) notes.push('freed by a release of another process');
    }
  }
  return { promise: 'a lease has one owner', checked: `${granted} leases granted`, violations, notes: counted(notes) };
}

/** Whether `by`, or anybody, may have freed the lease `first` before `second` was granted. */
function freedBy(history: History, first: Lease, second: Lease, by?: string): boolean {
  return history
    .of(first.run)
    .releases.some(
      (release) =>
        (by === undefined || release.by === by) && release.until >= first.calledAt && release.from <= second.at,
    );
}
