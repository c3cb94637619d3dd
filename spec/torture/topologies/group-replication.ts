import { join } from 'node:path';
import { Cluster } from './cluster';
import { GroupNode } from './group-node';
import type { Topology } from './index';
import { found, freePorts } from './node-query';

const NODES = 3;

/** The others elect a new primary within seconds. */
const ELECTED_WITHIN_MS = 60_000;

const ONE_PRIMARY = [
  '--loose-group-replication-single-primary-mode=ON',
  '--loose-group-replication-enforce-update-everywhere-checks=OFF',
];

/** A member answers once it has applied what the others had committed, and once they have what it commits. */
const EVERY_PRIMARY = [
  '--loose-group-replication-single-primary-mode=OFF',
  '--loose-group-replication-enforce-update-everywhere-checks=ON',
  '--loose-group-replication-consistency=BEFORE_AND_AFTER',
];

/** All clients on the primary of the group. */
export const GROUP_REPLICATION: Topology = {
  db: 'mysql',
  words: 'Group Replication, three members, clients on the one primary; a restart ends that one, and it joins again',
  start: async (directory) => Cluster.start(await createNodes(directory, ONE_PRIMARY), 'one', elected),
};

/** Clients on every member. */
export const GROUP_REPLICATION_WRITERS: Topology = {
  db: 'mysql',
  words:
    'Group Replication, three primaries with clients on each, consistency BEFORE_AND_AFTER; a restart ends one, and it joins again',
  start: async (directory) => Cluster.start(await createNodes(directory, EVERY_PRIMARY), 'every'),
};

/** Whom those that are left take for the primary, once it is one of them. */
function elected(_lost: GroupNode, left: readonly GroupNode[]): Promise<GroupNode> {
  return found('a new primary', ELECTED_WITHIN_MS, async () => {
    const members = (await left[0]?.members()) ?? [];
    const primary = members.find(({ role, state }) => role === 'PRIMARY' && state === 'ONLINE');
    return left.find(({ port }) => port === primary?.port);
  });
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
