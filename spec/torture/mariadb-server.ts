import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { ServerProcess } from '../support/server-process';
import type { TortureServer } from './server';

const run = promisify(execFile);

/** Where the MariaDB server is installed, if it is. */
export function mariaDbBinary(): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/libexec'];
  return directories.map((directory) => join(directory, 'mariadbd')).find((path) => existsSync(path));
}

/** A MariaDB of our own with its default durability, in a data directory of its own. */
export class MariaDbServer implements TortureServer {
  readonly user = 'root';
  readonly password = '';
  readonly mainDb = 'mysql';

  private constructor(
    private readonly process: ServerProcess,
    readonly port: number,
  ) {}

  static async start(binary: string, directory: string, port: number): Promise<MariaDbServer> {
    const command = await freshMariaDb(binary, directory, port);
    const server = new MariaDbServer(new ServerProcess([...command, '--skip-log-bin'], port), port);
    await server.process.launch();
    return server;
  }

  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    await this.process.end(how === 'crash' ? 'SIGKILL' : 'SIGTERM');
    await this.process.launch();
  }

  async stop(): Promise<void> {
    await this.process.end('SIGKILL');
  }
}

/**
 * Make a data directory below `directory`; returns the command that starts a server on it. `rootRunsAs`: the user of this host
 * that the server is when this process is root.
 */
export async function freshMariaDb(
  binary: string,
  directory: string,
  port: number,
  rootRunsAs = 'root',
): Promise<[program: string, ...args: string[]]> {
  mkdirSync(join(directory, 'tmp'), { recursive: true });
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await run('chown', ['-R', rootRunsAs, directory]);
  // The server refuses to run as root unless it is told to.
  const settings = ['--no-defaults', ...places(directory), ...(isRoot ? [`--user=${rootRunsAs}`] : [])];
  await run('mariadb-install-db', [...settings, '--auth-root-authentication-method=normal', '--skip-test-db']);
  const network = [`--port=${port}`, '--bind-address=127.0.0.1', '--skip-name-resolve'];
  return [binary, ...settings, `--socket=${join(directory, 'socket')}`, ...network];
}

/** A server removes what it takes for its own leftovers from its `tmpdir`; another one that shares it crashes then. */
function places(directory: string): string[] {
  return [`--datadir=${join(directory, 'data')}`, `--tmpdir=${join(directory, 'tmp')}`];
}
