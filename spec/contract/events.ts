import type { BufferedEvent } from '../../lib';
import { freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

export function events(subject: Subject): void {
  describe('buffered events', () => {
    listing(subject);
    ordering(subject);
    removing(subject);
  });
}

function listing(subject: Subject): void {
  it('lists an event with its id, payload and time, and leaves it', async () => {
    const { name, ...event } = await buffered(subject, { payload: { a: 1 }, publishedAt: 1_772_359_200_123 });
    expect(await subject.store.listBufferedEvents(name, 50)).toEqual([event]);
    expect(await subject.store.listBufferedEvents(name, 50)).toEqual([event]);
  });

  it('lists the events of exactly this name', async () => {
    const name = freshId('e');
    for (const other of [`${name} `, name.toUpperCase(), `${name}%`, `${name}_`, ` ${name}`]) {
      await buffered(subject, { name: other });
    }
    expect(await subject.store.listBufferedEvents(name, 50)).toEqual([]);
  });

  it('lists nothing for a limit of 0', async () => {
    const { name } = await buffered(subject);
    expect(await subject.store.listBufferedEvents(name, 0)).toEqual([]);
  });

  it('lists an event whose name is empty', async () => {
    const { id } = await buffered(subject, { name: '' });
    expect((await subject.store.listBufferedEvents('', 1000)).map((event) => event.id)).toContain(id);
  });
}

function ordering(subject: Subject): void {
  it('lists the oldest first, whenever they were buffered', async () => {
    const name = freshId('e');
    for (const publishedAt of [30, 10, 20, -5]) await buffered(subject, { name, publishedAt });
    expect(await times(subject, name, 50)).toEqual([-5, 10, 20, 30]);
    expect(await times(subject, name, 2)).toEqual([-5, 10]);
  });

  it('tells milliseconds apart', async () => {
    const name = freshId('e');
    const at = 1_772_359_200_000;
    for (const ms of [999, 1, 500, 2]) await buffered(subject, { name, publishedAt: at + ms });
    expect(await times(subject, name, 50)).toEqual([at + 1, at + 2, at + 500, at + 999]);
  });

  needs(subject, 'totalOrder')('lists events of one instant by id', async () => {
    const name = freshId('e');
    for (const id of ['b', 'a', 'C', 'ä']) await buffered(subject, { name, id: `${name}${id}`, publishedAt: 5 });
    const found = await subject.store.listBufferedEvents(name, 50);
    expect(found.map(({ id }) => id.slice(name.length)).join('')).toBe('Cabä');
  });
}

function removing(subject: Subject): void {
  it('removes an event once', async () => {
    const { name, id } = await buffered(subject);
    expect(await subject.store.removeBufferedEvent(id)).toBe(true);
    expect(await subject.store.removeBufferedEvent(id)).toBe(false);
    expect(await subject.store.listBufferedEvents(name, 50)).toEqual([]);
  });

  it('removes that event only', async () => {
    const { name, ...kept } = await buffered(subject);
    const { id } = await buffered(subject, { name });
    await subject.store.removeBufferedEvent(id);
    expect(await subject.store.listBufferedEvents(name, 50)).toEqual([kept]);
  });

  it('says false for an event that never was', async () => {
    expect(await subject.store.removeBufferedEvent(freshId())).toBe(false);
  });

  it('replaces an event of the same id, under its new name', async () => {
    const before = await buffered(subject);
    const { name, ...after } = await buffered(subject, { id: before.id, payload: 'new', publishedAt: 9 });
    expect(await subject.store.listBufferedEvents(before.name, 50)).toEqual([]);
    expect(await subject.store.listBufferedEvents(name, 50)).toEqual([after]);
    expect(await subject.store.removeBufferedEvent(before.id)).toBe(true);
  });

  it('lets an id be used again after its event is gone', async () => {
    const { id } = await buffered(subject);
    await subject.store.removeBufferedEvent(id);
    const { name } = await buffered(subject, { id });
    expect(await subject.store.listBufferedEvents(name, 50)).toHaveLength(1);
  });
}

type Event = BufferedEvent & { name: string };

async function buffered({ store }: Subject, fields: Partial<Event> = {}): Promise<Event> {
  const event = { id: freshId('id'), name: freshId('event'), payload: 1, publishedAt: 1000, ...fields };
  await store.bufferEvent(event);
  return event;
}

async function times({ store }: Subject, name: string, limit: number): Promise<number[]> {
  return (await store.listBufferedEvents(name, limit)).map(({ publishedAt }) => publishedAt);
}
