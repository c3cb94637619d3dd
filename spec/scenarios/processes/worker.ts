/** A process of an application: an ORM, a store and an engine of its own on the database that its colleagues share. */
import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { ENTITIES, MikroOrmStateStore } from '../../../lib';
import { connect, connection, KINDS } from '../../support/databases';
import { book } from '../bookings';
import { Ledger } from '../ledger';
import { family } from '../list/fan-out';
import { Polling } from '../polling';
import { configOf } from '../stage';
import type { Order, Report, WorkerSettings } from './message';

async function main({ name, kind: kindName, dbName, reconcileMs }: WorkerSettings): Promise<void> {
  const kind = KINDS.find((one) => one.name === kindName);
  if (!kind) throw new Error(`no database is called ${kindName}`);
  const options = { ...connection(kind, dbName), ...configOf(kind) };
  const orm = await connect(kind.driver, { ...options, entities: [...ENTITIES] });
  const store = new MikroOrmStateStore(orm);
  const ledger = new Ledger();
  const troubles: string[] = [];
  const trouble = (what: string) => (error: unknown) => {
    troubles.push(`${what} of ${name}: ${error instanceof Error ? error.message : String(error)}`);
  };
  process.on('unhandledRejection', trouble('a rejection that nobody handles'));
  const engine = new WorkflowEngine({ store, instanceId: name, reconcileMs });
  family(engine, { ledger, stage: { book } });
  const polling = new Polling(engine, trouble('a poll'));
  polling.start();
  process.on('message', (order: Order) => {
    if (order.what === 'start') {
      const starts = order.parents.map((id) => engine.start('parent', { children: order.children }, id));
      Promise.all(starts).catch(trouble('a start'));
    } else {
      leave().catch(trouble('leaving'));
    }
  });
  process.on('disconnect', () => process.exit());
  report({ what: 'ready' });

  async function leave(): Promise<void> {
    await polling.end();
    await store.settled();
    await orm.close(true);
    report({ what: 'done', did: ledger.all, troubles });
    process.disconnect();
  }
}

function report(report: Report): void {
  // The callback takes the error of a parent that is gone.
  if (process.connected) process.send?.(report, () => undefined);
}

main(JSON.parse(process.env.SCENARIO_WORKER ?? '{}') as WorkerSettings);
