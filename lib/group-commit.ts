import { setImmediate as macrotask } from 'node:timers/promises';

/** What a group of calls has in common. */
export interface Grouping<Item, Result> {
  /** Throws to refuse a call, in the caller's own context: what runs a group belongs to another call. */
  readonly admit: () => void;
  /** Told of all that is under way, from the moment it waits for its turn. */
  readonly counted: (work: () => Promise<void>) => Promise<void>;
  /**
   * Carry out many calls at once; results in the order of `items`, all of them or none. A result may be a promise: that
   * item goes on by itself and holds up none of its neighbours, but the group is under way until it has settled.
   */
  readonly run: (items: readonly Item[]) => Promise<readonly (Result | Promise<Result>)[]>;
  /** Calls of one key never share a group and keep their order. Absent: any calls may share one. */
  readonly key?: (item: Item) => string;
  /** Calls of different kinds never share a group. Absent: all are of one kind. */
  readonly kind?: (item: Item) => string;
  /** Size of an item, in the unit of `maxSize`. */
  readonly size: (item: Item) => number;
  /** Whether a failed group may be tried again in parts, to find the item that fails by itself. */
  readonly divisible: (error: unknown) => boolean;
}

/** How large a group may grow. */
export interface GroupBounds {
  /** Groups under way at once; a call waits only when all are. */
  readonly lanes: number;
  readonly maxItems: number;
  /** A single larger item goes alone. */
  readonly maxSize: number;
  /** How long calls wait behind a group that is held up, by somebody's lock, until it no longer counts as under way. */
  readonly patienceMs: number;
  /** Whether a group begins in the next turn of the event loop, with all that came until then, or in this one. */
  readonly beginsNextTurn: boolean;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** A place for one group at a time. */
interface Lane {
  timer?: NodeJS.Timeout | undefined;
}

/**
 * Lets concurrent calls share one execution. While groups are under way the next callers gather; then one group takes
 * them. Nobody waits for a timer: a caller that is alone goes with those of the same tick, or of the same turn of the event
 * loop where the driver answers so fast that nobody else would be heard before. Each promise settles
 * with the execution that carried its item, and an item that fails does not fail its neighbours.
 */
export class GroupCommit<Item, Result> {
  private queue: Waiting<Item, Result>[] = [];
  private readonly keysUnderWay = new Set<string>();
  private readonly lanes = new Set<Lane>();

  constructor(
    private readonly grouping: Grouping<Item, Result>,
    private readonly bounds: GroupBounds,
  ) {}

  /** Have an item carried out, with others if there are any. */
  submit(item: Item): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.grouping.admit();
      this.queue.push({ item, resolve, reject });
      this.open();
    });
  }

  /** Open a lane if one is free; otherwise let nobody wait for ever for those that are taken. */
  private open(): void {
    if (this.queue.length === 0) return;
    if (this.lanes.size < this.bounds.lanes) {
      const lane: Lane = {};
      this.lanes.add(lane);
      const begin = this.bounds.beginsNextTurn ? setImmediate : queueMicrotask;
      void this.grouping.counted(() => new Promise((resolve) => begin(() => resolve(this.work(lane)))));
    } else for (const lane of this.lanes) this.limit(lane);
  }

  /** One lane: group after group, until nothing is left that may go. */
  private async work(lane: Lane): Promise<void> {
    for (let group = this.next(); group.length > 0; group = this.next()) {
      const keys = group.map(({ item }) => this.grouping.key?.(item)).filter((key) => key !== undefined);
      for (const key of keys) this.keysUnderWay.add(key);
      if (this.queue.length > 0) this.limit(lane);
      await this.settle(group);
      clearTimeout(lane.timer);
      lane.timer = undefined;
      for (const key of keys) this.keysUnderWay.delete(key);
      // Others have had its lane since; what waited for these keys may go now.
      if (!this.lanes.has(lane)) return this.open();
      if (this.bounds.beginsNextTurn && this.queue.length > 0) await macrotask();
    }
    this.lanes.delete(lane);
  }

  /** Give the lane to those who wait behind it when its group takes too long. Nobody waits: no timer. */
  private limit(lane: Lane): void {
    lane.timer ??= setTimeout(() => {
      this.lanes.delete(lane);
      this.open();
    }, this.bounds.patienceMs);
  }

  /** The items of the queue that fit one group, in order; what shares a key with an earlier one stays for a later group. */
  private next(): Waiting<Item, Result>[] {
    const { key, kind, size } = this.grouping;
    const group: Waiting<Item, Result>[] = [];
    const later: Waiting<Item, Result>[] = [];
    const taken = new Set(this.keysUnderWay);
    let groupKind: string | undefined;
    let total = 0;
    let position = 0;
    for (; position < this.queue.length && group.length < this.bounds.maxItems; position += 1) {
      const waiting = this.queue[position] as Waiting<Item, Result>;
      const itemKey = key?.(waiting.item);
      const itemKind = kind?.(waiting.item);
      const isFree = itemKey === undefined || !taken.has(itemKey);
      // In this group or a later one: whatever follows it under its key waits behind it.
      if (itemKey !== undefined) taken.add(itemKey);
      if (!isFree || (group.length > 0 && itemKind !== groupKind)) {
        later.push(waiting);
        continue;
      }
      total += size(waiting.item);
      if (group.length > 0 && total > this.bounds.maxSize) break;
      groupKind = itemKind;
      group.push(waiting);
    }
    this.queue = [...later, ...this.queue.slice(position)];
    return group;
  }

  private async settle(group: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.grouping.run(group.map(({ item }) => item));
      for (const [position, waiting] of group.entries()) waiting.resolve(results[position] as Result);
      await Promise.allSettled(results.filter((result) => result instanceof Promise));
    } catch (error) {
      if (group.length > 1 && this.grouping.divisible(error)) {
        const half = Math.ceil(group.length / 2);
        await this.settle(group.slice(0, half));
        await this.settle(group.slice(half));
      } else for (const waiting of group) waiting.reject(error);
    }
  }
}
