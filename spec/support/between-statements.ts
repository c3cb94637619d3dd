import type { MikroORM } from '@mikro-orm/core';
import type { OrmLike } from '../../lib';
import type { SqlEm } from './databases';

/** The same ORM, which after each statement of its forks lets something happen before the next one. */
export function betweenStatements(orm: MikroORM, happen: (statement: string) => Promise<void>): OrmLike {
  const em = orm.em.fork() as SqlEm;
  em.fork = (options) => {
    const fork = orm.em.fork(options) as SqlEm;
    const execute = fork.execute.bind(fork);
    fork.execute = (async (...args: Parameters<SqlEm['execute']>) => {
      const result = await execute(...args);
      await happen(args[0]);
      return result;
    }) as SqlEm['execute'];
    return fork as never;
  };
  return { em };
}
