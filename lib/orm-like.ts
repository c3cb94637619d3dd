import type { EntityManager } from '@mikro-orm/core';
import { isObject, kindOf } from '../schemas/check-options';
import type { OrmLike } from './session';

/**
 * The EntityManager of what a store is made from.
 *
 * @throws TypeError for anything but a MikroORM instance, saying what to pass instead
 */
export function emOfOrm(orm: OrmLike): EntityManager {
  if (isOrm(orm)) return orm.em;
  throw new TypeError(`new MikroOrmStateStore(orm) takes a MikroORM instance, got ${mistake(orm)}`);
}

/**
 * The EntityManager of what a schema function is given, and whether it was given one itself.
 *
 * @throws TypeError for anything but a MikroORM instance or an EntityManager, saying what to pass instead
 */
export function emOfTarget(target: OrmLike | EntityManager): { em: EntityManager; isGiven: boolean } {
  if (isOrm(target)) return { em: target.em, isGiven: false };
  if (isEntityManager(target)) return { em: target, isGiven: true };
  throw new TypeError(
    'ensureMikroOrmDurableSchema, planMikroOrmDurableSchema and durableSchemaSql take a MikroORM instance or an EntityManager, ' +
      `got ${mistake(target)}`,
  );
}

function isOrm(value: unknown): value is OrmLike {
  return isObject(value) && 'em' in value && isEntityManager(value.em);
}

function isEntityManager(value: unknown): value is EntityManager {
  return isObject(value) && 'fork' in value && 'getPlatform' in value && typeof value.fork === 'function';
}

const INSTANCE = 'what `await MikroORM.init(…)` gives';

function mistake(value: unknown): string {
  if (isObject(value) && 'then' in value && typeof value.then === 'function') {
    return `a promise: await it, and pass ${INSTANCE}`;
  }
  if (typeof value === 'function') return `a class or function: pass ${INSTANCE}`;
  if (isEntityManager(value)) {
    return (
      'an EntityManager: pass the MikroORM instance it comes from; ' +
      'store.withTransaction(em) is the store inside a transaction of an EntityManager'
    );
  }
  return `${kindOf(value)}: pass ${INSTANCE}`;
}
