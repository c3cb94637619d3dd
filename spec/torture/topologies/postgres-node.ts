import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sql } from '../../support/databases';
import { freePort } from '../../support/free-port';
import { ASKS_FOR_TLS, ServerProcess } from '../../support/server-process';
import { open } from '../database';
import { found } from './node-query';
import { asServerUser, postgresPrograms } from './postgres-binaries';

const run = promisify(execFile);

/** What is awaited and has not come by then never will, however busy the machine is. */
const COMES_WITHIN_MS = 120_000;

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // What the other server has not received yet is kept for it.
  wal_keep_size: '512MB',
  // Its files go with the data directory, and are not left in /dev/shm after a crash.
  dynamic_shared_memory_type: 'mmap',
};

/** One of two PostgreSQL servers that replicate, with its default durability. */
export class PostgresNode {
  private constructor(
    readonly name: string,
    readonly port: number,
    private readonly programs: string,
    private readonly data: string,
    private readonly process: ServerProcess,
  ) {}

  /** A server that has no data yet. `directory` belongs to the user that it runs as. */
  static async create(name: string, directory: string): Promise<PostgresNode> {
    const programs = postgresPrograms();
    const data = join(directory, name);
    const port = await freePort();
    const settings = Object.entries({ ...SETTINGS, port, cluster_name: name }).map(
      ([key, value]) => `-c${key}=${value}`,
    );
    const command = asServerUser([join(programs, 'postgres'), '-D', data, ...settings]);
    return new PostgresNode(name, port, programs, data, new ServerProcess(command, port, ASKS_FOR_TLS));
  }

  /** Start it as the first primary, with a data directory of its own. */
  async startFirst(): Promise<void> {
    const settings = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C'];
    await this.program('initdb', ['-D', this.data, ...settings]);
    await this.process.launch();
    await this.holds('select 1 where not pg_is_in_recovery()');
  }

  /** Start it as the standby of `primary`, with a copy of the data of that one in place of its own. */
  async startStandby(primary: PostgresNode): Promise<void> {
    rmSync(this.data, { recursive: true, force: true });
    const from = ['-h', '127.0.0.1', '-p', `${primary.port}`, '-U', 'postgres'];
    await this.program('pg_basebackup', [...from, '-D', this.data, '-R', '-X', 'stream', '-c', 'fast']);
    await this.process.launch();
  }

  /** From when this resolves, no commit on this primary is acknowledged before `standby` has it too. */
  async waitFor(standby: PostgresNode): Promise<void> {
    await this.holds(
      `select 1 from pg_stat_replication where application_name = '${standby.name}' and state = 'streaming'`,
    );
    await this.query(`alter system set synchronous_standby_names = '${standby.name}'`);
    await this.query('select pg_reload_conf()');
    // A session that begins with the new setting shows that the server has read it and told its processes.
    await this.holds(`select 1 where current_setting('synchronous_standby_names') = '${standby.name}'`);
    // Commits wait once the checkpointer has followed, which it does before it begins a checkpoint.
    await this.query('checkpoint');
    // Those before did not wait.
    const [row] = await this.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
    await this.holds(`select 1 from pg_stat_replication where sync_state = 'sync' and flush_lsn >= '${row?.lsn}'`);
  }

  /** This standby receives nothing from now on; what it is sent before the returned function is called, it never has. */
  async turnDeaf(): Promise<() => void> {
    const [receiver] = await this.query<{ pid: number }>('select pid from pg_stat_wal_receiver');
    if (!receiver) return () => undefined;
    kill(receiver.pid, 'SIGSTOP');
    return () => {
      // What has arrived is in the buffer of the socket; the signal to end comes before that is read.
      kill(receiver.pid, 'SIGTERM');
      kill(receiver.pid, 'SIGCONT');
    };
  }

  async promote(): Promise<void> {
    await this.program('pg_ctl', ['-D', this.data, '-w', '-t', '60', 'promote']);
  }

  /** End everything that belongs to it at once, as when the machine is lost. */
  async crash(): Promise<void> {
    const { pid } = this.process;
    const segment = this.sharedMemory();
    // A server that is stopped neither starts a process nor sees that one has ended.
    process.kill(pid, 'SIGSTOP');
    for (const child of await childrenOf(pid)) kill(child, 'SIGKILL');
    await this.process.end('SIGKILL');
    // It has no successor on this data directory that would remove what is left of it.
    if (segment) await run('ipcrm', ['-m', segment]).catch(() => undefined);
  }

  /** The fast shutdown: sessions are ended, and the standby gets all there is. */
  async shutDown(): Promise<void> {
    await this.process.end('SIGINT');
  }

  /** The immediate shutdown, for data that nobody needs any more. */
  async stop(): Promise<void> {
    await this.process.end('SIGQUIT');
  }

  /** The id of the System V segment, by which a server knows whether another runs on its data. */
  private sharedMemory(): string | undefined {
    const line = readFileSync(join(this.data, 'postmaster.pid'), 'utf8').split('\n')[6];
    return line?.trim().split(/\s+/)[1];
  }

  private async program(name: string, args: readonly string[]): Promise<void> {
    const [program, ...all] = asServerUser([join(this.programs, name), ...args]);
    await run(program, all);
  }

  /** Run a statement in a session of its own. */
  private async query<Row>(text: string): Promise<Row[]> {
    const { port } = this;
    const orm = await open({ db: 'postgresql', dbName: 'postgres', port, user: 'postgres', password: '' });
    try {
      return await sql(orm).execute<Row[]>(text);
    } finally {
      await orm.close(true);
    }
  }

  /** Ask until there is a row. A server that is starting refuses the question. */
  private async holds(question: string): Promise<void> {
    await found(`${this.name}: ${question}`, COMES_WITHIN_MS, async () => (await this.query(question))[0]);
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.filter(([, parent]) => parent === pid).flatMap(([child]) => child ?? []);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
