import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A server that does not answer by then never will, however busy the machine is. */
const STARTS_WITHIN_MS = 300_000;

/** A MySQL or MariaDB server that is a child of this process, and ends with it. */
export class ServerProcess {
  private child: ChildProcess | undefined;

  constructor(
    private readonly command: readonly [program: string, ...args: string[]],
    private readonly port: number,
  ) {}

  /** Start it, with `more` arguments this time, and wait until it answers. */
  async launch(more: readonly string[] = []): Promise<void> {
    const [program, ...args] = this.command;
    const child = spawn(program, [...args, ...more], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child = child;
    let said = '';
    child.stderr.on('data', (text) => {
      said = `${said}${text}`.slice(-2000);
    });
    process.once('exit', this.kill);
    const until = performance.now() + STARTS_WITHIN_MS;
    while (!(await this.answers())) {
      if (!this.isRunning || performance.now() > until) throw new Error(`${program} does not start:\n${said}`);
      await delay(50);
    }
  }

  /** Whether it was started and has not ended, by itself or otherwise. */
  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** End it by crash or in order, and wait until it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this;
    process.removeListener('exit', this.kill);
    if (!child || !this.isRunning) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  private readonly kill = () => this.child?.kill('SIGKILL');

  /** Whether a greeting comes. */
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
