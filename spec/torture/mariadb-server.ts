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
    mkdirSync(join(directory, 'tmp'), { recursive: true });
    const settings = ['--no-defaults', ...places(directory), ...asUser()];
    await run('mariadb-install-db', [...settings, '--auth-root-authentication-method=normal', '--skip-test-db']);
    const network = [`--port=${port}`, '--bind-address=127.0.0.1', '--skip-name-resolve', '--skip-log-bin'];
    const socket = `--socket=${join(directory, 'socket')}`;
    const server = new MariaDbServer(new ServerProcess([binary, ...settings, socket, ...network], port), port);
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

/** A server removes what it takes for its own leftovers from its `tmpdir`; another one that shares it crashes then. */
function places(directory: string): string[] {
  return [`--datadir=${join(directory, 'data')}`, `--tmpdir=${join(directory, 'tmp')}`];
}

/** The server refuses to run as root unless it is told to. */
function asUser(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}
