import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A server that does not answer by then never will, however busy the machine is. */
const STARTS_WITHIN_MS = 300_000;

/** A PostgreSQL client's question whether the server speaks TLS: asked before anything else, and answered by any server. */
export const ASKS_FOR_TLS = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** A database server that is a child of this process, and ends with it. */
export class ServerProcess {
  private child: ChildProcess | undefined;

  constructor(
    private readonly command: readonly [program: string, ...args: string[]],
    private readonly port: number,
    /** What a client says first; `undefined`: the server greets it, as MySQL and MariaDB do. */
    private readonly hello?: Buffer,
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
  async end(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const { child } = this;
    process.removeListener('exit', this.kill);
    if (!child || !this.isRunning) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error(`${this.command[0]} was not started`);
    return this.child.pid;
  }

  private readonly kill = () => this.child?.kill('SIGKILL');

  /** Whether a greeting or an answer comes. */
  private answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = createConnection({ port: this.port, host: '127.0.0.1' });
      const settle = (answer: boolean) => {
        socket.destroy();
        resolve(answer);
      };
      if (this.hello) socket.write(this.hello);
      socket.once('data', () => settle(true));
      socket.once('error', () => settle(false));
      socket.once('close', () => settle(false));
    });
  }
}
