import type { TortureServer } from '../server';

/** A member of a cluster whose members all hold the data. */
export interface ClusterNode {
  readonly port: number;
  /** Start it, and a cluster with it or as one more of the cluster there is, and wait until it can serve clients. */
  join(how: 'first' | 'new' | 'again'): Promise<void>;
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

/** Who is to have clients once one is lost, among those that are left. */
type Successor<Node> = (lost: Node, left: readonly Node[]) => Promise<Node | undefined>;

/** Servers that replicate to each other. A restart ends one that has clients, and it joins again. */
export class Cluster<Node extends ClusterNode> implements TortureServer {
  readonly user = 'root';
  readonly password = '';
  readonly mainDb = 'mysql';
  /** Those that can serve clients; where one has all clients, it is the first. */
  private readonly serving: Node[] = [];
  private turn = 0;

  private constructor(
    private readonly nodes: readonly Node[],
    private readonly clientsOn: 'one' | 'every',
    private readonly successor: Successor<Node>,
  ) {}

  /** Start a cluster of these, one after the other. */
  static async start<Node extends ClusterNode>(
    nodes: readonly Node[],
    clientsOn: 'one' | 'every',
    successor: Successor<Node> = async (_lost, [next]) => next,
  ): Promise<Cluster<Node>> {
    const cluster = new Cluster(nodes, clientsOn, successor);
    try {
      for (const [position, node] of nodes.entries()) {
        await node.join(position === 0 ? 'first' : 'new');
        cluster.serving.push(node);
      }
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Where the next client is to go. */
  get port(): number {
    if (this.clientsOn === 'every') this.turn += 1;
    return this.at(this.turn).port;
  }

  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    const lost = this.at(this.clientsOn === 'every' ? Math.floor(Math.random() * this.serving.length) : 0);
    const gone = lost.end(how === 'crash' ? 'SIGKILL' : 'SIGTERM');
    const left = this.serving.filter((node) => node !== lost);
    // One that shuts down serves nobody any more long before it is gone.
    const next = await this.successor(lost, left);
    this.serving.splice(0, this.serving.length, ...left.filter((node) => node === next));
    this.serving.push(...left.filter((node) => node !== next));
    await gone;
    await lost.join('again');
    this.serving.push(lost);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end('SIGKILL')));
  }

  private at(turn: number): Node {
    const node = this.serving[turn % this.serving.length];
    if (!node) throw new Error('no node is left');
    return node;
  }
}
