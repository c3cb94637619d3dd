import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { commandOf, unpackMySql } from './mysql-packages';
import { ServerProcess } from './server-process';

const run = promisify(execFile);

/** What is kept from one start to the next: the packages, and a data directory that nothing has been written to. */
const KEPT = join(process.cwd(), '.tmp', 'mysql');

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
    const root = await unpackMySql(KEPT);
    const pristine = await initialised(root);
    // A path of the project may be too long for that of a socket.
    const directory = mkdtempSync(join(tmpdir(), 'durable-mysql-'));
    cpSync(pristine, join(directory, 'data'), { recursive: true });
    mkdirSync(join(directory, 'tmp'));
    const network = [
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--mysqlx=0',
      `--socket=${join(directory, 'socket')}`,
    ];
    const [program, ...args] = commandWith(root, directory);
    const process = new ServerProcess([program, ...args, ...network, ...settings], port);
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

/** A data directory as it is before the first start, made once: that takes longer than a copy and a start. */
async function initialised(root: string): Promise<string> {
  const pristine = join(KEPT, 'data');
  if (existsSync(pristine)) return pristine;
  const directory = join(KEPT, `initialising-${process.pid}`);
  mkdirSync(join(directory, 'tmp'), { recursive: true });
  try {
    const [program, ...args] = commandWith(root, directory);
    await run(program, [...args, '--initialize-insecure']);
    if (!existsSync(pristine)) renameSync(join(directory, 'data'), pristine);
    return pristine;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The server with its files where they are unpacked and its data in `directory`. */
function commandWith(root: string, directory: string): [program: string, ...args: string[]] {
  const share = join(root, 'usr/share/mysql');
  return [
    ...commandOf(root),
    '--no-defaults',
    // It refuses to run as root unless it is told to.
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--basedir=${join(root, 'usr')}`,
    `--datadir=${join(directory, 'data')}`,
    `--tmpdir=${join(directory, 'tmp')}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
    '--secure-file-priv=NULL',
  ];
}
