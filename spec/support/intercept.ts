import type { MikroOrmStateStore } from '../../lib';

/** The same store with something around each call of one method. */
export function intercept<Name extends keyof MikroOrmStateStore>(
  store: MikroOrmStateStore,
  name: Name,
  around: (call: () => ReturnType<MikroOrmStateStore[Name]>) => ReturnType<MikroOrmStateStore[Name]>,
): MikroOrmStateStore {
  return new Proxy(store, {
    get(target, property) {
      const member = Reflect.get(target, property);
      if (typeof member !== 'function') return member;
      const call = member.bind(target);
      return property === name ? (...args: unknown[]) => around(() => call(...args)) : call;
    },
  });
}
