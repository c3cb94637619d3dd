/** Opens the existing adapter on MikroORM 7. In this folder, so that its imports find the packages installed here. */
import * as adapter from '@dudousxd/nestjs-durable-store-mikro-orm';

/** @param {'sqlite' | 'postgresql' | 'mariadb' | 'mysql'} driver */
export async function open(driver, options) {
  const { MikroORM } = await import(`@mikro-orm/${driver}`);
  const orm = await MikroORM.init({ entities: adapter.ENTITIES, ...options });
  return { orm, store: new adapter.MikroOrmStateStore(orm) };
}
