import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freshMySql } from './mysql-data';
import { ServerProcess } from './server-process';

/** Settings for data that nobody needs after a power cut. */
export const WITHOUT_SYNC = ['--innodb-flush-log-at-trx-commit=2', '--sync-binlog=0'];

/** A real MySQL of our own, on this host, with a data directory of its own. Its defaults apart from `settings`. */
export class MySqlServer {
  readonly user = 'root';
  readonly password = '';
  readonly mainDb = 'mysql';

  private constructor(
    readonly port: number,
    private readonly directory: string,
    private readonly process: ServerProcess,
  ) {}

  /** Download it where that was not done yet, and start it. */
  static async start(port: number, settings: readonly string[] = []): Promise<MySqlServer> {
    // A path of the project may be too long for that of a socket.
    const directory = mkdtempSync(join(tmpdir(), 'durable-mysql-'));
    const command = await freshMySql(directory, port).catch((error) => {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    });
    const process = new ServerProcess([...command, ...settings], port);
    const server = new MySqlServer(port, directory, process);
    await process.launch().catch(async (error) => {
      await server.stop();
      throw error;
    });
    return server;
  }

  get url(): string {
    return `mysql://${this.user}@127.0.0.1:${this.port}/${this.mainDb}`;
  }

  /** End it by crash or in order, and start it again. */
  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    await this.process.end(how === 'crash' ? 'SIGKILL' : 'SIGTERM');
    await this.process.launch();
  }

  /** End it and remove its data. */
  async stop(): Promise<void> {
    await this.process.end('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
