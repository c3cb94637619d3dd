import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ServerProcess } from '../../support/server-process';
import { freshMariaDb } from '../mariadb-server';
import { found, onNode } from './node-query';

const run = promisify(execFile);

/** A node that is not in step with the others by then never will be, however busy the machine is. */
const SYNCED_WITHIN_MS = 120_000;

/** The ports of a node: clients, group communication, incremental and whole transfer of state. */
export interface GaleraPorts {
  readonly client: number;
  readonly group: number;
  readonly incremental: number;
  readonly whole: number;
}

/** What is to be found on this host. */
export interface GaleraBinaries {
  readonly server: string;
  readonly provider: string;
}

/** A MariaDB that is a node of a Galera cluster. */
export class GaleraNode {
  private readonly process: ServerProcess;

  private constructor(
    readonly port: number,
    private readonly directory: string,
    private readonly command: readonly [program: string, ...args: string[]],
  ) {
    this.process = new ServerProcess(command, port);
  }

  /** Make its data directory below `directory`; it does not run yet. */
  static async create(
    binaries: GaleraBinaries,
    directory: string,
    ports: GaleraPorts,
    cluster: readonly string[],
  ): Promise<GaleraNode> {
    // The rsync that a node receives its state with is nobody where the node is root.
    const command = await freshMariaDb(binaries.server, directory, ports.client, 'mysql');
    const replication = [`--wsrep-provider=${binaries.provider}`, ...settingsOf(ports), ...cluster];
    return new GaleraNode(ports.client, directory, [...command, ...replication]);
  }

  /** Start a cluster with this node, or join the one there is, and wait until the node is in step with it. */
  async join(how: 'first' | 'new' | 'again'): Promise<void> {
    if (how === 'first') await this.process.launch(['--wsrep-new-cluster']);
    else await this.process.launch(how === 'again' ? [await this.startPosition()] : []);
    await found(`the node on port ${this.port} is synced`, SYNCED_WITHIN_MS, async () => {
      if (!this.process.isRunning) throw new Error('it has ended');
      const [state] = await onNode<{ Value: string }>(this.port, "show status like 'wsrep_local_state_comment'");
      return state?.Value === 'Synced' || undefined;
    });
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.process.end(signal);
    this.endTransfer();
  }

  /** A node that ends while it is sent its state leaves the receiver running, which listens on a port of the node. */
  private endTransfer(): void {
    const file = join(this.directory, 'data', 'rsync_sst.pid');
    if (!existsSync(file)) return;
    const pid = Number(readFileSync(file, 'utf8'));
    try {
      // The number may be that of somebody else's process by now.
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.directory)) process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }

  /**
   * What the service files of the packages ask a node before each start: where it stands, so that it is sent what it has
   * missed and not all there is, for which another node would stand still.
   */
  private async startPosition(): Promise<string> {
    const [program, ...args] = this.command;
    const { stderr } = await run(program, [...args, '--wsrep-recover'], { maxBuffer: 2 ** 24 });
    const position = /WSREP: Recovered position: *(\S+)/.exec(stderr)?.[1];
    if (!position)
      throw new Error(`the node on port ${this.port} does not know where it stands:\n${stderr.slice(-2000)}`);
    return `--wsrep-start-position=${position}`;
  }
}

function settingsOf({ group, incremental, whole }: GaleraPorts): string[] {
  const provider = {
    'gmcast.listen_addr': `tcp://127.0.0.1:${group}`,
    'ist.recv_addr': `127.0.0.1:${incremental}`,
    'gcache.size': '64M',
    // How soon a silent node is taken for lost.
    'evs.suspect_timeout': 'PT3S',
    'evs.inactive_timeout': 'PT6S',
  };
  const options = Object.entries(provider).map(([name, value]) => `${name}=${value}`);
  return [
    '--wsrep-on=ON',
    `--wsrep-node-address=127.0.0.1:${group}`,
    '--wsrep-sst-method=rsync',
    `--wsrep-sst-receive-address=127.0.0.1:${whole}`,
    `--wsrep-provider-options=${options.join(';')}`,
    '--wsrep-slave-threads=2',
    // Galera replicates rows of InnoDB, and wants keys that it counts itself.
    ...['--binlog-format=ROW', '--default-storage-engine=InnoDB', '--innodb-autoinc-lock-mode=2'],
    // Commits outlive the process, not a power cut: there are two more copies.
    ...['--innodb-flush-log-at-trx-commit=2', '--innodb-buffer-pool-size=96M', '--max-connections=300'],
  ];
}
