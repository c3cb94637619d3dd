import { all, type Condition, instantOf } from '../scope';
import type { Row } from '../session';
import type { Tables } from '../tables';

/** What one look at the runs found, each list by run id. */
export interface Sight {
  /** Runs that nobody has picked up. */
  readonly pending: readonly string[];
  /** Suspended runs whose timer is due, and since when, in epoch ms. */
  readonly due: ReadonlyMap<string, number>;
  /** Runs that are, or have just been, cancelled. */
  readonly cancelled: readonly string[];
  /** When the next timer is due, in epoch ms. */
  readonly nextMs: number | undefined;
}

/** What a process wants to see: timers as of now, and cancels since a time; epoch ms. */
export interface Since {
  readonly nowMs: number;
  readonly cancelledMs: number;
}

/** As many of each as a look returns, the newest: an older one was there before, or is the poll's. */
const NEWEST = 100;

/** One read of what there is to do, each part of it the first entries of an index. */
export class Look {
  private readonly inNamespace: Condition;

  constructor(
    private readonly tables: Tables,
    namespace: string | undefined,
  ) {
    this.inNamespace =
      namespace === undefined
        ? { text: '1 = 1', params: [] }
        : { text: `${tables.runs.column('namespace')} = ?`, params: [namespace] };
  }

  question({ nowMs, cancelledMs }: Since): Condition {
    const { runs } = this.tables;
    const [status, wakeAt, updatedAt] = [runs.column('status'), runs.column('wakeAt'), runs.column('updatedAt')];
    const lockedUntil = runs.column('lockedUntil');
    const is = (text: string, ...ms: number[]): Condition => ({
      text,
      params: ms.map((instant) => instantOf(this.tables, instant)),
    });
    const parts = [
      this.part(
        'pending',
        is(`${status} = 'pending' and (${lockedUntil} is null or ${lockedUntil} <= ?)`, nowMs),
        `${runs.column('createdAt')} desc`,
        NEWEST,
      ),
      this.part('due', is(`${status} = 'suspended' and ${wakeAt} <= ?`, nowMs), `${wakeAt} desc`, NEWEST),
      this.part('next', is(`${status} = 'suspended' and ${wakeAt} > ?`, nowMs), wakeAt, 1),
      ...['cancelled', 'cancelling'].map((ending) =>
        this.part(
          ending,
          is(`${status} = '${ending}' and ${updatedAt} >= ?`, cancelledMs),
          `${updatedAt} desc`,
          NEWEST,
        ),
      ),
    ];
    return {
      text: parts.map(({ text }) => text).join(' union all '),
      params: parts.flatMap(({ params }) => params),
    };
  }

  /** What the rows of an answer say. */
  read(rows: readonly Row[]): Sight {
    const pending: string[] = [];
    const due = new Map<string, number>();
    const cancelled: string[] = [];
    let nextMs: number | undefined;
    for (const row of rows) {
      // A time that cannot be read wakes nobody here: the poll leaves such a run alone as well.
      const [run] = this.tables.runs.decodeReadable([row]);
      if (!run) continue;
      if (row.what === 'pending') pending.push(run.id);
      else if (row.what === 'due') due.set(run.id, run.wakeAt as number);
      else if (row.what === 'next') nextMs = run.wakeAt as number;
      else cancelled.push(run.id);
    }
    return { pending, due, cancelled, nextMs };
  }

  private part(what: string, where: Condition, order: string, limit: number): Condition {
    const { runs } = this.tables;
    const { text, params } = all([where, this.inNamespace]);
    return {
      text:
        `select * from (select ${runs.select('id', 'wakeAt')}, '${what}' as what from ${runs.name} ` +
        `where ${text} order by ${order} limit ${limit}) as ${what}_runs`,
      params,
    };
  }
}
