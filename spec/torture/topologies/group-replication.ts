import { join } from 'node:path';
import type { TortureServer } from '../server';
import { GroupNode } from './group-node';
import type { Topology } from './index';
import { found, freePorts } from './node-query';

const NODES = 3;

/** The others elect a new primary within seconds. */
const ELECTED_WITHIN_MS = 60_000;

const SINGLE = [
  '--loose-group-replication-single-primary-mode=ON',
  '--loose-group-replication-enforce-update-everywhere-checks=OFF',
];

/** All clients on the primary of the group. */
export const GROUP_REPLICATION: Topology = {
  db: 'mysql',
  words: 'Group Replication, three members, clients on the one primary; a restart ends that one, and it joins again',
  start: (directory) => Group.start(directory, SINGLE),
};

class Group implements TortureServer {
  readonly user = 'root';
  readonly password = '';
  readonly mainDb = 'mysql';
  /** Members in full; clients go to the first. */
  private readonly online: GroupNode[] = [];

  private constructor(private readonly nodes: readonly GroupNode[]) {}

  static async start(directory: string, settings: readonly string[]): Promise<Group> {
    const group = new Group(await createNodes(directory, settings));
    try {
      for (const [position, node] of group.nodes.entries()) {
        await node.join(position === 0 ? 'first' : 'new');
        group.online.push(node);
      }
      return group;
    } catch (error) {
      await group.stop();
      throw error;
    }
  }

  get port(): number {
    return this.first.port;
  }

  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    const lost = this.first;
    const gone = lost.end(how === 'crash' ? 'SIGKILL' : 'SIGTERM');
    // One that shuts down has left the group long before it is gone.
    const primary = await found('a new primary', ELECTED_WITHIN_MS, () => this.elected(lost));
    this.online.splice(0, NODES, primary, ...this.online.filter((node) => node !== primary && node !== lost));
    await gone;
    await lost.join('again');
    this.online.push(lost);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end('SIGKILL')));
  }

  private get first(): GroupNode {
    const [node] = this.online;
    if (!node) throw new Error('no member is left');
    return node;
  }

  /** Whom another member than `lost` takes for the primary, if not `lost` still. */
  private async elected(lost: GroupNode): Promise<GroupNode | undefined> {
    const left = this.online.filter((node) => node !== lost);
    const members = (await left[0]?.members()) ?? [];
    const primary = members.find(({ role, state }) => role === 'PRIMARY' && state === 'ONLINE');
    return left.find(({ port }) => port === primary?.port);
  }
}

async function createNodes(directory: string, settings: readonly string[]): Promise<GroupNode[]> {
  const free = await freePorts(2 * NODES);
  const clients = free.slice(0, NODES);
  const groups = free.slice(NODES);
  const seeds = `--loose-group-replication-group-seeds=${groups.map((port) => `127.0.0.1:${port}`).join()}`;
  const nodes: GroupNode[] = [];
  // One after the other: the first may have to download the packages.
  for (const [position, client] of clients.entries()) {
    const place = join(directory, `node-${position + 1}`);
    const ports = { client, group: groups[position] ?? 0 };
    nodes.push(await GroupNode.create(place, position + 1, ports, [seeds, ...settings]));
  }
  return nodes;
}
