import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TortureServer } from './server';

const run = promisify(execFile);
const STARTS_WITHIN_MS = 60_000;

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
  private process: ChildProcess | undefined;

  private constructor(
    private readonly binary: string,
    private readonly directory: string,
    readonly port: number,
  ) {}

  static async start(binary: string, directory: string, port: number): Promise<MariaDbServer> {
    mkdirSync(join(directory, 'tmp'), { recursive: true });
    const server = new MariaDbServer(binary, directory, port);
    const settings = ['--no-defaults', ...server.places, ...server.asUser];
    await run('mariadb-install-db', [...settings, '--auth-root-authentication-method=normal', '--skip-test-db']);
    await server.launch();
    return server;
  }

  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    await this.end(how === 'crash' ? 'SIGKILL' : 'SIGTERM');
    await this.launch();
  }

  async stop(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** A server removes what it takes for its own leftovers from its `tmpdir`; another one that shares it crashes then. */
  private get places(): string[] {
    return [`--datadir=${join(this.directory, 'data')}`, `--tmpdir=${join(this.directory, 'tmp')}`];
  }

  /** The server refuses to run as root unless it is told to. */
  private get asUser(): string[] {
    return process.getuid?.() === 0 ? ['--user=root'] : [];
  }

  private async launch(): Promise<void> {
    const network = [`--port=${this.port}`, '--bind-address=127.0.0.1', '--skip-name-resolve', '--skip-log-bin'];
    const settings = ['--no-defaults', ...this.places, `--socket=${join(this.directory, 'socket')}`, ...network];
    const child = spawn(this.binary, [...settings, ...this.asUser], { stdio: 'ignore' });
    this.process = child;
    const until = performance.now() + STARTS_WITHIN_MS;
    while (!(await this.answers())) {
      if (child.exitCode !== null || performance.now() > until) throw new Error('mariadbd does not start');
      await delay(50);
    }
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  private answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = createConnection({ port: this.port, host: '127.0.0.1' });
      const settle = (answer: boolean) => {
        socket.destroy();
        resolve(answer);
      };
      socket.once('data', () => settle(true));
      socket.once('error', () => settle(false));
      socket.once('close', () => settle(false));
    });
  }
}
