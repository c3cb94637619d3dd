import { setImmediate as macrotask } from 'node:timers/promises';

/** Idle turns of the event loop after which nothing of an engine is on its way any more. */
const IDLE_TURNS = 5;

/** The store calls of a test's engines that have not settled yet. */
export class CallsUnderWay {
  private readonly calls = new Set<Promise<unknown>>();

  /** The same store, with its calls on record until they settle; `before` sees each call as it is made. */
  observed<Store extends object>(store: Store, before: (method: string, args: unknown[]) => void = () => {}): Store {
    return new Proxy(store, {
      get: (target, property) => {
        const member = Reflect.get(target, property);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          before(String(property), args);
          return this.note(Promise.resolve(member.apply(target, args)));
        };
      },
    });
  }

  /** Wait until no engine has a store call on its way; what follows a run's end runs on after it. */
  async quiet(): Promise<void> {
    for (let idle = 0; idle < IDLE_TURNS; idle += 1) {
      if (this.calls.size > 0) {
        await Promise.allSettled(this.calls);
        idle = 0;
      }
      await macrotask();
    }
  }

  private note(call: Promise<unknown>): Promise<unknown> {
    this.calls.add(call);
    const settle = () => this.calls.delete(call);
    call.then(settle, settle);
    return call;
  }
}
