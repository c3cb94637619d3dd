import { BufferedSignalEntity, MikroOrmStateStore, type SignalWaiter, SignalWaiterEntity } from '../../lib';
import type { OrmLike } from '../../lib/session';

/** Takes as they are often written: read a row, then delete it. Several callers get the same one. */
export class DefectiveStore extends MikroOrmStateStore {
  constructor(private readonly host: OrmLike) {
    super(host);
  }

  override async takeSignalWaiter(token: string): Promise<SignalWaiter | null> {
    const em = this.host.em.fork();
    const waiter = await em.findOne(SignalWaiterEntity, { token });
    if (!waiter) return null;
    await em.nativeDelete(SignalWaiterEntity, { token });
    return { token, runId: waiter.runId, seq: waiter.seq };
  }

  override async takeBufferedSignal(token: string): Promise<{ payload: unknown } | null> {
    const em = this.host.em.fork();
    const signal = await em.findOne(BufferedSignalEntity, { token }, { orderBy: { id: 'asc' } });
    if (!signal) return null;
    await em.nativeDelete(BufferedSignalEntity, { id: signal.id });
    return { payload: signal.payload };
  }
}
