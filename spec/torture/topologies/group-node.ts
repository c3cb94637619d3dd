import { freshMySql } from '../../support/mysql-data';
import { WITHOUT_SYNC } from '../../support/mysql-server';
import { ServerProcess } from '../../support/server-process';
import { found, onNode } from './node-query';

/** A member that is not online by then never will be, however busy the machine is. */
const ONLINE_WITHIN_MS = 120_000;

/** The ports of a member: clients and group communication. */
export interface GroupPorts {
  readonly client: number;
  readonly group: number;
}

/** What a member knows of another, or of itself. */
export interface Member {
  readonly port: number;
  readonly state: string;
  readonly role: string;
}

const MEMBERS =
  'select member_port as port, member_state as state, member_role as role from performance_schema.replication_group_members';

/** A MySQL that is a member of a replication group. */
export class GroupNode {
  private readonly process: ServerProcess;

  private constructor(
    readonly port: number,
    command: readonly [program: string, ...args: string[]],
  ) {
    this.process = new ServerProcess(command, port);
  }

  /** Make its data directory below `directory`; it does not run yet. `number` tells it from the other members. */
  static async create(
    directory: string,
    number: number,
    { client, group }: GroupPorts,
    settings: readonly string[],
  ): Promise<GroupNode> {
    const command = await freshMySql(directory, client);
    const own = [
      `--server-id=${number}`,
      '--report-host=127.0.0.1',
      `--report-port=${client}`,
      `--loose-group-replication-local-address=127.0.0.1:${group}`,
    ];
    return new GroupNode(client, [...command, ...EVERY_MEMBER, ...own, ...settings]);
  }

  /** Start it, and with it a group, or join the one there is, and wait until it is a member in full. */
  async join(how: 'first' | 'new' | 'again'): Promise<void> {
    // What it wrote by itself before it is a member again, the group would never have seen.
    await this.process.launch(how === 'again' ? ['--super-read-only=ON'] : []);
    const user = "source_user = 'root', source_password = '' for channel 'group_replication_recovery'";
    await onNode(this.port, `change replication source to ${user}`);
    if (how === 'first') await onNode(this.port, 'set global group_replication_bootstrap_group = on');
    // The group refuses a member that it does not know to be lost yet.
    await this.within('has joined', () => onNode(this.port, 'start group_replication'));
    if (how === 'first') await onNode(this.port, 'set global group_replication_bootstrap_group = off');
    await this.within('is online', async () => {
      const own = (await this.members()).find(({ port }) => port === this.port);
      return own?.state === 'ONLINE' || undefined;
    });
  }

  /** The group as this member sees it. */
  async members(): Promise<Member[]> {
    return onNode<Member>(this.port, MEMBERS);
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.process.end(signal);
  }

  private async within<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    return found(`the member on port ${this.port} ${what}`, ONLINE_WITHIN_MS, () => {
      if (!this.process.isRunning) throw new Error('it has ended');
      return look();
    });
  }
}

const EVERY_MEMBER = [
  ...['--gtid-mode=ON', '--enforce-gtid-consistency=ON', '--log-bin=binlog', '--binlog-format=ROW'],
  // Every table of a group has a primary key; one that was created without gets a column for it that nobody sees.
  '--sql-generate-invisible-primary-key=ON',
  '--plugin-load-add=group_replication.so',
  '--loose-group-replication-group-name=aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa',
  '--loose-group-replication-start-on-boot=OFF',
  '--loose-group-replication-ip-allowlist=127.0.0.1/8',
  '--loose-group-replication-recovery-get-public-key=ON',
  // One that has lost the others takes no writes.
  '--loose-group-replication-exit-state-action=READ_ONLY',
  '--loose-group-replication-unreachable-majority-timeout=10',
  // A silent member is suspected after five seconds; then it goes at once.
  '--loose-group-replication-member-expel-timeout=0',
  ...['--innodb-buffer-pool-size=96M', '--max-connections=300'],
  // Commits outlive the process, not a power cut: there are two more copies.
  ...WITHOUT_SYNC,
];
