import { setTimeout as delay } from 'node:timers/promises';
import { MikroORM } from '@mikro-orm/mysql';
import { freePort } from '../../support/free-port';

const LOOK_EVERY_MS = 150;

/** Run a statement as root on the MySQL or MariaDB that listens on `port` of this host; a `select` or `show` gives its rows. */
export async function onNode<Row>(port: number, statement: string): Promise<Row[]> {
  const clientUrl = `mysql://root@127.0.0.1:${port}/mysql`;
  const options = { connect: false, discovery: { warnWhenNoEntities: false }, pool: { min: 0, max: 1 } };
  const orm = await MikroORM.init({ clientUrl, ...options });
  try {
    return await orm.em.getConnection().execute<Row[]>(statement);
  } finally {
    await orm.close(true);
  }
}

/**
 * Look again and again until `look` finds something; an error counts as nothing found.
 *
 * @throws Error that says what was waited for and how the last look failed, after `boundMs`
 */
export async function found<T>(what: string, boundMs: number, look: () => Promise<T | undefined>): Promise<T> {
  const until = performance.now() + boundMs;
  let last: unknown;
  while (performance.now() < until) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
    } catch (error) {
      last = error;
    }
    await delay(LOOK_EVERY_MS);
  }
  throw new Error(`${what}: not within ${boundMs} ms`, { cause: last });
}

/** So many different ports that nothing listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
