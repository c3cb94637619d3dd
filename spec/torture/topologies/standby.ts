import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TortureServer } from '../server';
import type { Topology } from './index';
import { PostgresNode } from './postgres-node';

const run = promisify(execFile);

/** How long commits wait for a standby that does not answer, before the primary is lost together with them. */
const DEAF_MS = 200;

export const STANDBY: Topology = {
  db: 'postgresql',
  words:
    'PostgreSQL with a synchronous standby; a restart ends the primary, promotes the standby and rebuilds the other',
  start: (directory) => Pair.start(directory),
};

/** Two PostgreSQL servers. What one has acknowledged, the other has; except while there is only one, during a fail-over. */
class Pair implements TortureServer {
  readonly user = 'postgres';
  readonly password = '';
  readonly mainDb = 'postgres';

  private constructor(
    private primary: PostgresNode,
    private standby: PostgresNode,
  ) {}

  static async start(parent: string): Promise<Pair> {
    const directory = join(parent, 'pair');
    mkdirSync(directory);
    if (process.getuid?.() === 0) await run('chown', ['postgres', directory]);
    const pair = new Pair(
      await PostgresNode.create('node_1', directory),
      await PostgresNode.create('node_2', directory),
    );
    try {
      await pair.primary.startFirst();
      await pair.pairUp();
      return pair;
    } catch (error) {
      await pair.stop();
      throw error;
    }
  }

  get port(): number {
    return this.primary.port;
  }

  /** Clients are without a primary until the standby is promoted. Then they can work, while the other is rebuilt. */
  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    const { primary, standby } = this;
    if (how === 'crash') await lose(primary, standby);
    else await primary.shutDown();
    await standby.promote();
    this.primary = standby;
    this.standby = primary;
    await this.pairUp();
  }

  async stop(): Promise<void> {
    await this.standby.stop();
    await this.primary.stop();
  }

  private async pairUp(): Promise<void> {
    await this.standby.startStandby(this.primary);
    await this.primary.waitFor(this.standby);
  }
}

/** The primary dies with commits in it that nobody else has. None of them may have been acknowledged. */
async function lose(primary: PostgresNode, standby: PostgresNode): Promise<void> {
  const forget = await standby.turnDeaf();
  await delay(DEAF_MS);
  await primary.crash();
  forget();
}
