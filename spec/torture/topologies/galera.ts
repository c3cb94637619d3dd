import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { mariaDbBinary } from '../mariadb-server';
import { Cluster } from './cluster';
import { type GaleraBinaries, GaleraNode, type GaleraPorts } from './galera-node';
import type { Topology } from './index';
import { freePorts } from './node-query';

const NODES = 3;

const PROVIDERS = ['/usr/lib/galera', '/usr/lib/galera-4', '/usr/lib64/galera-4', '/usr/lib64/galera'];

/** All clients on one node, until it is lost. */
export const GALERA: Topology = {
  db: 'mariadb',
  words: 'Galera, three nodes, all clients on one of them; a restart ends that one, and it joins again',
  start: async (directory) => Cluster.start(await createNodes(directory, []), 'one'),
};

/** Clients on every node. A node answers once it has applied what the others had committed: the store reads what was written. */
export const GALERA_WRITERS: Topology = {
  db: 'mariadb',
  words: 'Galera, three nodes with clients on each, wsrep_sync_wait = 7; a restart ends one, and it joins again',
  start: async (directory) => Cluster.start(await createNodes(directory, ['--wsrep-sync-wait=7']), 'every'),
};

async function createNodes(directory: string, settings: readonly string[]): Promise<GaleraNode[]> {
  const binaries = installed();
  const ports = await portsOfNodes();
  const addresses = ports.map(({ group }) => `127.0.0.1:${group}`).join();
  const cluster = ['--wsrep-cluster-name=durable', `--wsrep-cluster-address=gcomm://${addresses}`, ...settings];
  return Promise.all(
    ports.map((ofNode, position) => {
      const place = join(directory, `node-${position + 1}`);
      return GaleraNode.create(binaries, place, ofNode, [...cluster, `--wsrep-node-name=node-${position + 1}`]);
    }),
  );
}

async function portsOfNodes(): Promise<GaleraPorts[]> {
  const free = (await freePorts(4 * NODES)).values();
  const next = () => Number(free.next().value);
  return Array.from({ length: NODES }, () => ({ client: next(), group: next(), incremental: next(), whole: next() }));
}

/** @throws Error that names what is missing */
function installed(): GaleraBinaries {
  const server = mariaDbBinary();
  const provider = PROVIDERS.map((place) => join(place, 'libgalera_smm.so')).find((path) => existsSync(path));
  const rsync = (process.env.PATH ?? '').split(delimiter).some((place) => existsSync(join(place, 'rsync')));
  if (server && provider && rsync) return { server, provider };
  const missing = [!server && 'mariadbd', !provider && 'libgalera_smm.so', !rsync && 'rsync'].filter(Boolean);
  throw new Error(
    `no Galera cluster: ${missing.join(', ')} not found. To have it: apt-get install mariadb-server galera-4 rsync`,
  );
}
