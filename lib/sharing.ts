import type { Repeat } from './attempts';
import type { Dialect } from './dialect';
import { DurableDatabaseError } from './errors';
import { isOneRowsFault } from './failures';
import { type GroupBounds, GroupCommit, type Grouping } from './group-commit';
import type { Session, Sql } from './session';

/** How concurrent calls of one kind may share a statement. */
export interface GroupCommitOptions {
  /** Statements of one kind under way at once; default 1. */
  lanes?: number;
  /** Rows in one statement; default 128. */
  maxRows?: number;
  /** Text in one statement, in characters of its parameters; default 512 × 1024. A larger row goes alone. */
  maxCharacters?: number;
}

const DEFAULTS = { lanes: 1, maxItems: 128, maxSize: 512 * 1024, patienceMs: 100 };

/** Every call a statement of its own, at once; calls of one key still follow each other. */
const ALONE = { ...DEFAULTS, lanes: Number.POSITIVE_INFINITY, maxItems: 1, maxSize: 0 };

/** What a call does for one item. */
export type Work<Item, Result> = (sql: Sql, item: Item) => Promise<Result>;

type Shared<Item, Result> = Omit<Grouping<Item, Result>, 'admit' | 'counted' | 'divisible'> &
  Partial<Pick<Grouping<Item, Result>, 'divisible'>>;

/** The ways in which calls of one store go to the database together. */
export class Sharing {
  private readonly bounds: GroupBounds;

  constructor(
    private readonly session: Session,
    options: GroupCommitOptions | false,
  ) {
    this.bounds = { ...(options === false ? ALONE : boundsOf(options)), beginsNextTurn: session.beginsNextTurn };
  }

  /** Whether writes wait for each other in any case, so that none is later for sharing a transaction. */
  get oneWriter(): boolean {
    return this.session.oneWriter;
  }

  /** One statement, or several that need no common transaction. */
  call<T>(label: string, repeat: Repeat, work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.session.together(label, repeat, work);
  }

  /** Removals whose rows are wanted; see {@link Session.removal}. */
  removal<T>(label: string, looksFirst: (dialect: Dialect) => boolean, work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.session.removal(label, looksFirst, work);
  }

  /** Changes, together or not at all, of what nobody has locked; `undefined` where the database cannot leave out the rest. */
  async unlocked<T>(label: string, work: (sql: Sql) => Promise<T>): Promise<T | undefined> {
    const { forUpdateSkipLocked, updatesWhatItLocks } = await this.session.dialect(label);
    if (forUpdateSkipLocked === undefined) return undefined;
    // Whether a try took effect is found out for each item by itself.
    if (updatesWhatItLocks) return this.session.together(label, 'once', work);
    return this.session.briefTransaction(label, 'once', work);
  }

  /** One transaction in which the items follow each other. */
  inTurn<Item, Result>(
    label: string,
    repeat: Repeat,
    items: readonly Item[],
    work: Work<Item, Result>,
  ): Promise<Result[]> {
    const transaction = this.oneWriter ? 'briefTransaction' : 'transaction';
    return this.session[transaction](label, repeat, async (sql) => {
      const results: Result[] = [];
      for (const item of items) results.push(await work(sql, item));
      return results;
    });
  }

  /** Calls that gather while others of their kind are under way. */
  grouped<Item, Result>(shared: Shared<Item, Result>): GroupCommit<Item, Result> {
    const admit = () => this.session.assertNotBlocked();
    const counted = (work: () => Promise<void>) => this.session.counted(work);
    return new GroupCommit<Item, Result>({ divisible: mayBeOneRow, ...shared, admit, counted }, this.bounds);
  }
}

function boundsOf(options: GroupCommitOptions): typeof DEFAULTS {
  return {
    ...DEFAULTS,
    lanes: options.lanes ?? DEFAULTS.lanes,
    maxItems: options.maxRows ?? DEFAULTS.maxItems,
    maxSize: options.maxCharacters ?? DEFAULTS.maxSize,
  };
}

/** What a transient failure, a lost connection or a missing right did to a group it would do to each half. */
function mayBeOneRow(error: unknown): boolean {
  return error instanceof DurableDatabaseError && isOneRowsFault(error.cause);
}
