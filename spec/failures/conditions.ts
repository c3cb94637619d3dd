import { rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MikroORM, Options } from '@mikro-orm/core';
import type { Failure } from '../../lib/failure-codes';
import { onConnect, postgresSettings } from '../hostile/hosts';
import { OpenTransaction } from '../support/concurrency';
import { type DatabaseKind, portOf, sql, type TestDatabase } from '../support/databases';
import { freshId } from '../support/fixtures';
import { TcpProxy } from '../torture/proxy';

/** Where a condition is brought about. */
export interface Place {
  readonly kind: DatabaseKind;
  readonly db: TestDatabase;
  /** An ORM under no condition, of a user who may do everything. */
  readonly plain: MikroORM;
  /** A run that is there. */
  readonly runId: string;
  /** Options of the ORM that is to suffer. */
  readonly options: Options;
  /** Have something done when the suite ends, before its database is dropped. */
  afterwards(work: () => unknown): void;
}

/** An ORM whose statements fail until the condition is lifted. */
export interface Condition {
  readonly orm: MikroORM;
  lift(): Promise<void>;
}

export interface Failing {
  readonly what: string;
  readonly failure: Failure;
  bringAbout(place: Place): Promise<Condition>;
}

/** Conditions that pass, and that change nothing while they last. */
export function passing(kind: DatabaseKind): Failing[] {
  const own = kind.family === 'postgresql' ? POSTGRESQL : MYSQL;
  return [...ANYWHERE, ...own];
}

/** Of users made here. None on MySQL, which would send its `mariadb` clients a key first that they do not take unasked. */
export function passwordOf({ kind }: Place): string {
  return kind.family === 'postgresql' ? 'durable' : '';
}

const ANYWHERE: Failing[] = [
  {
    what: 'a server that refuses connections',
    failure: 'not-sent',
    async bringAbout(place) {
      const proxy = new TcpProxy(() => portOf(place.db));
      place.afterwards(() => proxy.close());
      const port = await proxy.open();
      proxy.refuse();
      return { orm: await suffering(place, { port }), lift: async () => void (await proxy.open()) };
    },
  },
  {
    what: 'a server that closes connections before they are greeted',
    failure: 'not-sent',
    async bringAbout(place) {
      let upstream = 1;
      const proxy = new TcpProxy(() => upstream);
      place.afterwards(() => proxy.close());
      const orm = await suffering(place, { port: await proxy.open() });
      return {
        orm,
        lift: async () => {
          upstream = portOf(place.db);
        },
      };
    },
  },
  {
    what: 'a Unix socket that is not there',
    failure: 'not-sent',
    async bringAbout(place) {
      const postgres = place.kind.family === 'postgresql';
      const path = join(tmpdir(), postgres ? '.s.PGSQL.7' : `${freshId('durable')}.sock`);
      rmSync(path, { force: true });
      const socket = { host: undefined, port: undefined, driverOptions: { connection: { socketPath: path } } };
      const orm = await suffering(place, postgres ? { host: tmpdir(), port: 7 } : (socket as Options));
      return { orm, lift: () => listenOn(path, place) };
    },
  },
  {
    what: 'a pool without a free connection',
    failure: 'not-sent',
    async bringAbout(place) {
      const orm = await suffering(place, { pool: { min: 0, max: 1, acquireTimeoutMillis: 500 } });
      const holder = await OpenTransaction.begin(orm);
      return { orm, lift: () => holder.rollback() };
    },
  },
];

const POSTGRESQL: Failing[] = [
  {
    what: 'a role without connections left',
    failure: 'not-sent',
    bringAbout: (place) => asRole(place, 'connection limit 0', 'connection limit -1'),
  },
  {
    what: 'a role that is read-only, and connections that stay so',
    failure: 'not-sent',
    bringAbout: (place) =>
      asRole(place, 'set default_transaction_read_only = on', 'reset default_transaction_read_only'),
  },
  lockedRow('statement_timeout', postgresSettings({ statement_timeout: '200' })),
  lockedRow('lock_timeout', postgresSettings({ lock_timeout: '200' })),
];

const MYSQL: Failing[] = [
  {
    what: 'a user without connections left',
    failure: 'not-sent',
    async bringAbout(place) {
      const user = await newUser(place, 'with max_user_connections 1');
      const holder = await place.db.open({ user, password: passwordOf(place) });
      await sql(holder).execute('select 1');
      const lift = async () => {
        await holder.close(true);
      };
      return { orm: await suffering(place, { user, password: passwordOf(place), pool: { min: 0, max: 1 } }), lift };
    },
  },
  {
    what: 'sessions that are read-only, and stay so',
    failure: 'not-sent',
    async bringAbout(place) {
      let statement = 'set session transaction read only';
      type Connection = { query(text: string, done: (error: unknown) => void): void };
      const afterCreate = (connection: Connection, done: (error: unknown, connection: unknown) => void) =>
        connection.query(statement, (error) => done(error, connection));
      const orm = await suffering(place, { pool: { min: 0, max: 2, afterCreate } as never });
      return {
        orm,
        lift: async () => {
          statement = 'select 1';
        },
      };
    },
  },
  lockedRow('innodb_lock_wait_timeout', {
    pool: { ...onConnect('set session innodb_lock_wait_timeout = 1') } as never,
  }),
];

/** A row that somebody keeps locked for longer than the server lets anybody wait for it. */
function lockedRow(limit: string, options: Options): Failing {
  return {
    what: `a locked row and a ${limit}`,
    failure: 'rolled-back',
    async bringAbout(place) {
      const text = 'update durable_workflow_runs set priority = 3 where id = ?';
      const holder = await OpenTransaction.holding(place.plain, text, [place.runId]);
      return { orm: await suffering(place, options), lift: () => holder.rollback() };
    },
  };
}

async function asRole(place: Place, bad: string, good: string): Promise<Condition> {
  const user = await newUser(place, '');
  const run = (text: string) => sql(place.plain).execute(text, [], 'run');
  await run(`alter role ${user} ${bad}`);
  return {
    orm: await suffering(place, { user, password: passwordOf(place) }),
    lift: async () => void (await run(`alter role ${user} ${good}`)),
  };
}

/** A user of the server who may do everything with our tables, or nothing. */
export async function newUser(place: Place, limits: string, may = 'all'): Promise<string> {
  const user = freshId('durable').replace(/\W/g, '_');
  const postgres = place.kind.family === 'postgresql';
  const texts = postgres
    ? [
        `create role ${user} login password '${passwordOf(place)}'`,
        `grant ${may} on all tables in schema public to ${user}`,
        `grant all on all sequences in schema public to ${user}`,
      ]
    : [`create user '${user}'@'%' ${limits}`, `grant ${may} on ${place.db.dbName}.* to '${user}'@'%'`];
  const gone = postgres ? [`drop owned by ${user}`, `drop role ${user}`] : [`drop user '${user}'@'%'`];
  for (const text of texts) await sql(place.plain).execute(text, [], 'run');
  place.afterwards(async () => {
    for (const text of gone) await sql(place.plain).execute(text, [], 'run');
  });
  return user;
}

export function suffering({ db, options }: Place, more: Options): Promise<MikroORM> {
  return db.open({ connect: false, ...options, ...more });
}

/** Let a Unix socket lead to the server. */
async function listenOn(path: string, place: Place): Promise<void> {
  const sockets: Socket[] = [];
  const server = createServer((client) => {
    const upstream = createConnection({ port: portOf(place.db), host: '127.0.0.1' });
    for (const socket of [client, upstream]) sockets.push(socket.on('error', () => undefined));
    client.pipe(upstream).pipe(client);
  });
  place.afterwards(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
}
