import { AsyncResource } from 'node:async_hooks';

const moduleScope = new AsyncResource('MikroOrmControlPlane');

/** Do what a control plane does by itself: in no transaction and no request of whoever happened to cause it. */
export function outside<T>(work: () => T): T {
  return moduleScope.runInAsyncScope(work);
}
