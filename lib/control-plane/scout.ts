import type { Session } from '../session';
import type { Look } from './look';

/** What a look found that the one before had not. */
export interface News {
  /** When it looked, in epoch ms. */
  readonly seenMs: number;
  /** Runs that nobody has picked up. */
  readonly pending: readonly string[];
  /** Suspended runs whose timer is due. */
  readonly due: readonly string[];
  readonly cancelled: readonly string[];
  /** When the next timer is due, in epoch ms; `Infinity`: none. */
  readonly timerMs: number;
}

/** How far clocks of hosts may be apart for a cancel to be seen. */
const SKEW_MS = 60_000;

/** Looks for work, and tells each piece of it once for as long as it is there. */
export class Scout {
  private readonly bornMs = Date.now();
  private seen: ReadonlySet<string> = new Set();
  private timerMs = Number.POSITIVE_INFINITY;
  private version: unknown;

  constructor(
    private readonly session: Session,
    private readonly look: Look,
  ) {}

  /** `always`: even where the database says that nobody else has written since. */
  async news(always: boolean): Promise<News> {
    const nowMs = Date.now();
    const isChanged = await this.isChanged();
    if (!isChanged && !always && nowMs < this.timerMs) {
      return { seenMs: nowMs, pending: [], due: [], cancelled: [], timerMs: this.timerMs };
    }
    const cancelledMs = Math.max(this.bornMs, nowMs - SKEW_MS);
    const { text, params } = this.look.question({ nowMs, cancelledMs });
    const rows = await this.session.call('controlPlane', 'repeatable', (sql) => sql.rows(text, params));
    const { pending, due, cancelled, nextMs = Number.POSITIVE_INFINITY } = this.look.read(rows);
    this.timerMs = nextMs;
    const before = this.seen;
    const seen = new Set<string>();
    const fresh = (id: string, ...facts: unknown[]) => {
      const fact = JSON.stringify([id, ...facts]);
      seen.add(fact);
      return !before.has(fact);
    };
    this.seen = seen;
    return {
      seenMs: nowMs,
      pending: pending.filter((id) => fresh(id)),
      due: [...due].filter(([id, wakeAt]) => fresh(id, wakeAt)).map(([id]) => id),
      cancelled: cancelled.filter((id) => fresh(id, 'cancelled')),
      timerMs: nextMs,
    };
  }

  /** Whether another connection has written since the last look, where a database can say so for less than a look. */
  private async isChanged(): Promise<boolean> {
    if (this.session.database !== 'sqlite') return true;
    const rows = await this.session.call('controlPlane', 'repeatable', (sql) => sql.rows('pragma data_version', []));
    const version = rows[0]?.data_version;
    if (version === this.version) return false;
    this.version = version;
    return true;
  }
}
