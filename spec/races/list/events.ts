import { freshId } from '../../support/fixtures';
import { oneWinner } from '../order';
import type { Race } from '../race';

interface Events {
  readonly name: string;
  readonly ids: readonly string[];
}

/** Calls that claim events, many for each. */
export const eventClaims: Race<Events, boolean> = {
  name: 'event-claims',

  async prepare({ store }) {
    const name = freshId('event');
    const ids = [0, 1, 2, 3, 4].map((n) => `${name}:${n}`);
    for (const id of ids) await store.bufferEvent({ id, name, payload: id, publishedAt: 1 });
    return { name, ids };
  },

  call: (contender, { ids }, n) => contender.store(n).removeBufferedEvent(ids[n % ids.length] as string),

  async judge({ store }, { name, ids }, calls) {
    const faults = ids.slice(0, calls.length).map((id, position) => {
      const claims = calls.filter(({ n }) => n % ids.length === position);
      return oneWinner(id, claims, ({ answer }) => answer);
    });
    const left = await store.listBufferedEvents(name, ids.length);
    const unclaimed = Math.max(0, ids.length - calls.length);
    return [...faults.flat(), ...left.slice(unclaimed).map(({ id }) => `${id} is still there`)];
  },
};
