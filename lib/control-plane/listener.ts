import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/core';
import { DurableConfigurationError } from '../errors';
import { bounded } from '../in-flight';
import { elapsed } from '../timer';
import { type Parcel, parcelOf } from './messages';
import { isOrmClosed, openRawConnection, type RawConnection } from './raw-connection';

/** What a listener needs to be told, and tells. */
export interface Ears {
  /** The name of the channel, as a session of the host's sees it. */
  channel(): Promise<string>;
  /** Have the database send a question to the channel that only this listener answers. */
  ask(echo: string): Promise<void>;
  heard(parcel: Parcel): void;
  /** The channel works: whatever was sent before was not heard. */
  opened(): void;
  /** The channel does not work, from now until {@link opened}. */
  lost(error: Error): void;
}

/** A listener that hears nothing for so long asks itself whether it still could. */
const QUIET_MS = 30_000;
/** How long the answer may take. */
const ECHO_MS = 5_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** Where notifications do not arrive at all, which no retry mends soon. */
const DEAF_DELAY_MS = 60_000;
const ORM_CHECK_MS = 1_000;

/**
 * Hears the notifications of one PostgreSQL channel on a connection of its own, which it opens again when it is cut. A
 * connection that is there and hears nothing (half open, or of a pooler in transaction mode) is found by a question to itself.
 */
export class Listener {
  private readonly closing = new AbortController();
  private readonly echoes = new Map<string, () => void>();
  private running: Promise<void> | undefined;

  constructor(
    private readonly em: EntityManager,
    private readonly ears: Ears,
  ) {}

  start(): void {
    this.running ??= this.run();
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
  }

  private get isOver(): boolean {
    return this.closing.signal.aborted;
  }

  private async run(): Promise<void> {
    for (let failures = 0; !this.isOver; failures += 1) {
      const error = await this.listen(() => {
        failures = 0;
      }).catch((thrown: Error) => thrown);
      if (!error || this.isOver || isOrmClosed(this.em)) return;
      this.ears.lost(error);
      const isDeaf = error instanceof DurableConfigurationError;
      await this.pause(isDeaf ? DEAF_DELAY_MS : Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS));
    }
  }

  /** Listen for as long as the connection holds. Resolves when there is nobody to listen for any more. */
  private async listen(opened: () => void): Promise<void> {
    const channel = await this.ears.channel();
    const connection = await openRawConnection(this.em);
    const ending = new Ending(connection, this.closing.signal);
    try {
      let heardAt = performance.now();
      connection.on('notification', ({ payload = '' }) => {
        heardAt = performance.now();
        const parcel = parcelOf(payload);
        if (!parcel) return;
        if (parcel.echo !== undefined) this.echoes.get(parcel.echo)?.();
        this.ears.heard(parcel);
      });
      await connection.query(`listen "${channel}"`);
      if (!(await this.hears(ending))) throw deaf();
      opened();
      this.ears.opened();
      while (!this.isOver && !isOrmClosed(this.em)) {
        await ending.within(ORM_CHECK_MS);
        if (performance.now() - heardAt < QUIET_MS || this.isOver) continue;
        if (!(await this.hears(ending))) throw new Error('the connection hears nothing any more');
      }
    } finally {
      await ending.end();
    }
  }

  /** Whether what is sent to the channel arrives here. */
  private async hears(ending: Ending): Promise<boolean> {
    const echo = randomUUID();
    let isAnswered = false;
    const answered = new Promise<void>((resolve) => {
      this.echoes.set(echo, () => {
        isAnswered = true;
        resolve();
      });
    });
    try {
      await this.ears.ask(echo);
      await Promise.race([answered, ending.within(ECHO_MS)]);
      return isAnswered || this.isOver;
    } finally {
      this.echoes.delete(echo);
    }
  }

  private pause(ms: number): Promise<void> {
    return elapsed(ms, this.closing.signal).catch(() => undefined);
  }
}

/** The end of a connection, by whomever. */
class Ending {
  private readonly over = new AbortController();
  private cut: Error | undefined;
  private readonly abort = () => this.over.abort();

  constructor(
    private readonly connection: RawConnection,
    private readonly closing: AbortSignal,
  ) {
    closing.addEventListener('abort', this.abort);
    const cut = (error: Error) => {
      this.cut ??= error;
      this.abort();
    };
    connection.on('error', cut);
    connection.on('end', () => cut(new Error('the connection has ended')));
  }

  /**
   * Resolve after `ms`, at once when the listener is closed.
   *
   * @throws what has cut the connection
   */
  async within(ms: number): Promise<void> {
    await elapsed(ms, this.over.signal).catch(() => undefined);
    if (this.cut) throw this.cut;
  }

  /** End the connection, however it is. */
  async end(): Promise<void> {
    this.closing.removeEventListener('abort', this.abort);
    await bounded(ECHO_MS, () => this.connection.end().catch(() => undefined));
  }
}

function deaf(): DurableConfigurationError {
  return new DurableConfigurationError(
    'DURABLE_CANNOT_LISTEN',
    'notifications of PostgreSQL do not arrive: a pooler in transaction mode (PgBouncer) keeps them; give the control plane an ' +
      'ORM that connects to the server itself, or let it look for work as it does now',
  );
}
