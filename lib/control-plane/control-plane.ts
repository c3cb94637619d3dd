import { randomUUID } from 'node:crypto';
import type { ControlMessage, ControlPlane } from '@dudousxd/nestjs-durable-core';
import type { EntityManager } from '@mikro-orm/core';
import { checkOptions, type OptionRules } from '../../schemas/check-options';
import { announce } from '../announced';
import { DurableClosedError, DurableSchemaError } from '../errors';
import { checkText } from '../limits';
import type { ListedAs } from '../listed-runs';
import { emOfOrm } from '../orm-like';
import type { Condition } from '../scope';
import { type OrmLike, type Row, Session } from '../session';
import { runsSchema, tablesOf } from '../tables';
import { type Unwatch, watchFile } from './file-watch';
import { Listener } from './listener';
import { Look } from './look';
import { Looks } from './looks';
import { echoPayload, type Parcel, payloadsOf } from './messages';
import { Outbox } from './outbox';
import { outside } from './outside';
import { Pace } from './pace';
import { isOrmClosed, opensRawConnections } from './raw-connection';
import { Scout } from './scout';

/** Settings of a {@link MikroOrmControlPlane}; all have defaults. */
export interface MikroOrmControlPlaneOptions {
  /** The engine's `namespace`, where it has one: only runs of it are announced, and only control planes of it are heard. */
  namespace?: string;
  /**
   * The longest time between two looks at a database that cannot call (MySQL, MariaDB, and any whose channel does not work), in
   * milliseconds from 1; default 1,250.
   */
  idleMs?: number;
  /**
   * Told why no notification arrives, once for each time the channel fails, and why a look failed. The control plane goes on in
   * either case. Default: nobody is told.
   */
  onError?: (error: Error) => void;
}

const OPTIONS: OptionRules = {
  namespace: { takes: 'text', accepts: (value) => typeof value === 'string' },
  idleMs: {
    takes: 'milliseconds from 1',
    accepts: (value) => typeof value === 'number' && value >= 1 && Number.isFinite(value),
  },
  onError: { takes: 'a function', accepts: (value) => typeof value === 'function' },
};

/** Suspensions follow each other closely: the next timer is learnt once for many. */
const TIMERS_MS = 250;

/**
 * A commit shows after its write: SQLite syncs the file in between. Looks follow a write, each in double the time, until then.
 */
const SYNC_MS = 500;

/**
 * Wakes the engines of other processes through the application's own database: a run that one process starts begins in another
 * within milliseconds, a timer fires when it is due, and a cancel reaches the process that executes the run. Give it to the
 * engine as its `controlPlane`, and pass on what the engine hears: `engine.onEnqueued((id) => engine.runOne(id).catch(report))`.
 *
 * - **PostgreSQL** notifies, on one connection outside the pool; lifecycle events go to every process too.
 * - **SQLite**: the file is watched. **MySQL, MariaDB**: one indexed read, every 10 ms while work comes in and every `idleMs` when
 *   none does. Lifecycle events stay in their process.
 *
 * Nothing depends on it: what it misses, the engine's polls find.
 */
export class MikroOrmControlPlane implements ControlPlane {
  private readonly id = randomUUID();
  private readonly em: EntityManager;
  private readonly session: Session;
  private readonly scout: Scout;
  private readonly channel: Condition;
  private readonly pace: Pace;
  private readonly onError: (error: Error) => void;
  private readonly handlers: ((message: ControlMessage) => void)[] = [];
  private readonly looks = new Looks(() => this.lookOnce());
  private readonly outbox = new Outbox((messages) => this.send(messages));
  private listener: Listener | undefined;
  /** When the file of a SQLite database was last written to. */
  private writtenAt = Number.NEGATIVE_INFINITY;
  private unwatch: Unwatch | undefined;
  /** Whether the database tells when something has changed, so that nobody needs to look in between. */
  private isTold = false;
  /** Whether the next look is made whatever the database says. */
  private isAsked = true;
  /** Why it does not, as last reported. */
  private trouble: string | undefined;
  private isFailing = false;
  private started: Promise<void> | undefined;
  private isClosed = false;

  /**
   * @throws TypeError for anything but a MikroORM instance, and for an option of another name or kind
   * @throws DurableConfigurationError when the ORM lacks our entities or its database is not supported
   */
  constructor(orm: OrmLike, options?: MikroOrmControlPlaneOptions) {
    checkOptions('MikroOrmControlPlane', options, OPTIONS);
    const { namespace, idleMs = 1250, onError = () => undefined } = options ?? {};
    if (namespace !== undefined) checkText(namespace, 'namespace');
    this.em = emOfOrm(orm);
    // Once: what comes late is of no use, and the next look or poll makes up for it.
    this.session = new Session(this.em, { attempts: 1 });
    this.scout = new Scout(this.session, new Look(tablesOf(this.em), namespace));
    this.channel = channelOf(runsSchema(this.em), namespace);
    this.pace = new Pace(idleMs);
    this.onError = onError;
  }

  /**
   * Tell the other engines: on PostgreSQL those of every process, elsewhere those that share this object. Other processes on
   * SQLite, MySQL and MariaDB see starts and cancels in the tables. Resolves once the message is sent, or left out because a
   * thousand wait.
   *
   * @throws DurableStoreError when it could not be sent, which the engine passes over
   */
  async publishControl(message: ControlMessage): Promise<void> {
    if (this.isClosed) return;
    this.tell(message);
    this.pace.active(performance.now());
    if (this.session.database === 'postgresql') {
      this.session.assertNotBlocked();
      await outside(() => this.outbox.add(message));
    } else if (!this.isTold) outside(() => this.looks.within(this.pace.intervalMs(performance.now())));
  }

  /** Hear what other engines say, and that there are runs to execute. The first handler sets the control plane to work. */
  onControl(handler: (message: ControlMessage) => void): void {
    this.handlers.push(handler);
    this.started ??= outside(() => this.start());
  }

  /** Stop for good: no statement, timer or connection of it is left. To be called before the ORM is closed. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.started;
    this.unwatch?.();
    await Promise.all([this.looks.close(), this.listener?.close()]);
    await this.session.settled(Number.POSITIVE_INFINITY);
  }

  private async start(): Promise<void> {
    if (this.session.database === 'postgresql' && opensRawConnections(this.em)) this.listen();
    if (this.session.database === 'sqlite') await this.watch();
    this.lookWithin(0);
  }

  private listen(): void {
    this.listener = new Listener(this.em, {
      channel: async () =>
        String((await this.rows(`select ${this.channel.text} as name`, this.channel.params))[0]?.name),
      ask: (echo) => this.notify([echoPayload(this.id, echo)]),
      heard: (parcel) => this.heard(parcel),
      opened: () => {
        this.isTold = true;
        this.trouble = undefined;
        // What was sent before was not heard.
        this.lookWithin(0);
      },
      lost: (error) => this.untold(error),
    });
    this.listener.start();
  }

  private async watch(): Promise<void> {
    try {
      const files = await this.rows('pragma database_list', []);
      const file = files.find(({ name }) => name === 'main')?.file;
      const written = () => {
        this.writtenAt = performance.now();
        this.looks.within(0);
      };
      // A database in memory has no other process.
      if (typeof file === 'string' && file !== '')
        this.unwatch = watchFile(file, written, (error) => this.untold(error));
      this.isTold = true;
    } catch (error) {
      this.untold(error as Error);
    }
  }

  /** The database tells nothing any more: from now on looks come by themselves. */
  private untold(error: Error): void {
    this.isTold = false;
    if (error.message !== this.trouble) this.onError(error);
    this.trouble = error.message;
    this.lookWithin(0);
  }

  private heard({ from, enqueued, messages }: Parcel): void {
    if (from === this.id || isOrmClosed(this.em)) return;
    for (const message of messages) this.tell(message);
    if (enqueued) this.lookWithin(0);
  }

  /** Tell the engines of this process, which act for themselves: not in the transaction of whoever speaks. */
  private tell(message: ControlMessage, as: ListedAs = 'active'): void {
    outside(() => {
      if (message.kind === 'event' && message.event.type === 'run.suspended') this.lookWithin(TIMERS_MS);
      for (const handler of this.handlers) {
        if (message.kind === 'enqueued') announce(message.runId, as, () => this.call(handler, message));
        else this.call(handler, message);
      }
    });
  }

  private call(handler: (message: ControlMessage) => void, message: ControlMessage): void {
    try {
      handler(message);
    } catch (error) {
      this.onError(error as Error);
    }
  }

  private lookWithin(ms: number): void {
    this.isAsked = true;
    this.looks.within(ms);
  }

  private async lookOnce(): Promise<void> {
    const isAsked = this.isAsked;
    this.isAsked = false;
    try {
      const { seenMs, pending, due, cancelled, timerMs } = await this.scout.news(isAsked);
      this.isFailing = false;
      if (pending.length + due.length + cancelled.length > 0) this.pace.active(performance.now());
      for (const runId of cancelled) this.tell({ kind: 'cancel', runId });
      for (const runId of pending) this.tell({ kind: 'enqueued', runId });
      for (const runId of due) this.tell({ kind: 'enqueued', runId }, { dueAtMs: seenMs });
      this.looks.within(timerMs - Date.now());
    } catch (error) {
      this.failed(error as Error);
    }
    const nowMs = performance.now();
    if (!this.isTold || this.isFailing) this.looks.within(this.pace.intervalMs(nowMs));
    const sinceWriteMs = nowMs - this.writtenAt;
    if (sinceWriteMs < SYNC_MS) this.looks.within(sinceWriteMs);
  }

  private failed(error: Error): void {
    if (error instanceof DurableClosedError) {
      void this.close();
      return;
    }
    // Tables that are still to be made are the store's to report.
    if (!this.isFailing && !(error instanceof DurableSchemaError)) this.onError(error);
    this.isFailing = true;
    this.isAsked = true;
  }

  private send(messages: readonly ControlMessage[]): Promise<void> {
    return this.notify(payloadsOf(this.id, messages));
  }

  private async notify(payloads: readonly string[]): Promise<void> {
    if (payloads.length === 0) return;
    const text = `select ${payloads.map(() => `pg_notify(${this.channel.text}, ?)`).join(', ')}`;
    await this.rows(
      text,
      payloads.flatMap((payload) => [...this.channel.params, payload]),
    );
  }

  private rows(text: string, params: Condition['params']): Promise<Row[]> {
    return this.session.call('controlPlane', 'repeatable', (sql) => sql.rows(text, params));
  }
}

/** The name of the channel of a schema and namespace, short enough for any. Which schema an unnamed one is, the session knows. */
function channelOf(schema: string | undefined, namespace: string | undefined): Condition {
  const own = schema === undefined ? 'current_schema()' : '?';
  return {
    text: `'durable_' || md5(${own}::text || ?)`,
    params: [...(schema === undefined ? [] : [schema]), JSON.stringify([namespace])],
  };
}
