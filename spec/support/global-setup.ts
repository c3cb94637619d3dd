import { MYSQL, POSTGRES, reachable, startEmbeddedPostgres } from './servers';

declare global {
  var stopEmbeddedPostgres: (() => Promise<void>) | undefined;
}

/** Find or start the servers once; the spec files read their URLs from the environment. */
export default async function globalSetup(): Promise<void> {
  process.env.DURABLE_TEST_POSTGRES_URL = (await reachable(POSTGRES)) ?? (await embedded());
  const mysql = await reachable(MYSQL);
  if (mysql) process.env.DURABLE_TEST_MYSQL_URL = mysql;
  else missing(`MySQL/MariaDB: skipped, no server answers. To include it: ${MYSQL.start}`);
}

async function embedded(): Promise<string> {
  const server = await startEmbeddedPostgres();
  globalThis.stopEmbeddedPostgres = server.stop;
  return server.url;
}

/** A database that cannot be had is a line to see, and in CI a failure. */
function missing(message: string): void {
  if (process.env.CI) throw new Error(message);
  process.stdout.write(`\n${message}\n`);
}
