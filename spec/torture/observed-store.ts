import { eventNameOf, isEventToken, type StateStore, type StepCheckpoint } from '@dudousxd/nestjs-durable-core';
import type { MikroOrmStateStore } from '../../lib';
import { type Ledger, monotonicMs } from './ledger';
import { type Message, waitOf } from './workflow';

/** The same store, with leases, claims, releases, takes and deliveries on the ledger. */
export function observed(store: MikroOrmStateStore, ledger: Ledger): StateStore {
  const overrides: Partial<StateStore> = { ...leases(store, ledger), ...messages(store, ledger) };
  return new Proxy(store as StateStore, {
    get(target, property) {
      const member = Reflect.get(property in overrides ? overrides : target, property);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

function leases(store: MikroOrmStateStore, ledger: Ledger): Partial<StateStore> {
  return {
    async tryLockRun(run, owner, untilMs, nowMs) {
      const calledAt = monotonicMs();
      const won = await store.tryLockRun(run, owner, untilMs, nowMs);
      if (won) ledger.write({ kind: 'leased', run, calledAt, nowMs, untilMs });
      return won;
    },
    async renewRunLock(run, owner, untilMs) {
      const calledAt = monotonicMs();
      const renewed = await store.renewRunLock(run, owner, untilMs);
      if (renewed) ledger.write({ kind: 'renewed', run, calledAt, untilMs });
      return renewed;
    },
    async listCheckpoints(run) {
      ledger.write({ kind: 'reading', run });
      return store.listCheckpoints(run);
    },
    async releaseRunLock(run) {
      ledger.write({ kind: 'releasing', run });
      await store.releaseRunLock(run);
      ledger.write({ kind: 'released', run });
    },
  };
}

function messages(store: MikroOrmStateStore, ledger: Ledger): Partial<StateStore> {
  const taking = (token: string) => {
    const wait = isEventToken(token) ? eventNameOf(token) : token;
    if (!wait.startsWith('child:')) ledger.write({ kind: 'taking', wait });
  };
  return {
    async saveCheckpoint(checkpoint) {
      const { runId: run, name: step, status } = checkpoint;
      if (status === 'running') ledger.write({ kind: 'claim', run, step });
      else noteDelivery(checkpoint, ledger);
      await store.saveCheckpoint(checkpoint);
    },
    async takeSignalWaiter(token) {
      taking(token);
      return store.takeSignalWaiter(token);
    },
    async takeBufferedSignal(token) {
      taking(token);
      return store.takeBufferedSignal(token);
    },
    async listBufferedEvents(name, limit) {
      ledger.write({ kind: 'taking', wait: name });
      return store.listBufferedEvents(name, limit);
    },
  };
}

function noteDelivery({ runId: run, name, output }: StepCheckpoint, ledger: Ledger): void {
  const wait = waitOf(name);
  if (wait) ledger.write({ kind: 'delivering', run, wait, message: (output as Message).message });
}
