import { freePort } from './free-port';
import { MySqlServer, WITHOUT_SYNC } from './mysql-server';
import { MARIADB, MYSQL, POSTGRES, type ServerKind } from './server-kinds';
import { reachable, type StartedServer, startEmbeddedPostgres } from './servers';

declare global {
  var startedServers: StartedServer[];
}

/** Find or start the servers once; the spec files read their URLs from the environment. */
export default async function globalSetup(): Promise<void> {
  globalThis.startedServers = [];
  process.env[POSTGRES.variable] = (await reachable(POSTGRES)) ?? (await started(startEmbeddedPostgres));
  await provide(MARIADB, async () => {
    throw new Error('no server answers');
  });
  await provide(MYSQL, async () => MySqlServer.start(await freePort(), WITHOUT_SYNC));
}

/** Find a server or start one. One that cannot be had is a line to see, and in CI a failure. */
async function provide(kind: ServerKind, start: () => Promise<StartedServer>): Promise<void> {
  const url = await reachable(kind);
  try {
    process.env[kind.variable] = url ?? (await started(start));
  } catch (error) {
    const message = `${kind.label}: skipped, ${(error as Error).message}. To include it: ${kind.start}`;
    if (process.env.CI) throw new Error(message);
    process.stdout.write(`\n${message}\n`);
  }
}

async function started(start: () => Promise<StartedServer>): Promise<string> {
  const server = await start();
  globalThis.startedServers.push(server);
  return server.url;
}
