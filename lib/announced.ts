import { AsyncLocalStorage } from 'node:async_hooks';
import type { ListedAs } from './listed-runs';

interface Announcement {
  readonly runId: string;
  readonly as: ListedAs;
  isTaken: boolean;
}

const announcements = new AsyncLocalStorage<Announcement>();

/**
 * Tell somebody of a run, as what it was seen. The first lease that is asked for the run on the strength of that, however much
 * later, is won only if the run is still so.
 */
export function announce(runId: string, as: ListedAs, tell: () => void): void {
  announcements.run({ runId, as, isTaken: false }, tell);
}

/** As what the run was announced to whoever asks for its lease, once. */
export function announcedAs(runId: string): ListedAs | undefined {
  const announcement = announcements.getStore();
  if (announcement?.runId !== runId || announcement.isTaken) return undefined;
  announcement.isTaken = true;
  return announcement.as;
}
