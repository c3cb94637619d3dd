import type { MikroORM } from '@mikro-orm/core';
import {
  ChargeEntity,
  OrderEntity,
  ReservationEntity,
  recreateShopTables,
  SHOP_ENTITIES,
  ShipmentEntity,
  StepLogEntity,
} from '../examples/demo/shop';
import { isGood, judge, verdictLines } from '../examples/demo/verdict';
import { NAMESPACE, WORKFLOW } from '../examples/demo/workflow';
import { ENTITIES, MikroOrmStateStore } from '../lib';
import { finished, startTs } from './support/child';
import { KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun, freshId } from './support/fixtures';

describe('npm run demo', () => {
  const demo = (...args: string[]) => finished(startTs('examples/demo/main.ts', args, { DATABASE_URL: '' }));

  it('kills a worker while it ships and lets a second one finish without charging again', async () => {
    const { code, output } = await demo();
    expect(output).toContain('Verdict: orders 1, completed 1, charges 1, duplicates 0, lost 0');
    expect(output).toMatch(/worker A .* SIGKILL/);
    expect(output).toMatch(/worker B .* charge .* replayed from its checkpoint, not executed/);
    expect(output).toContain('The card was charged once, by worker A.');
    expect(output).toContain('Shipping began twice; the parcel left once.');
    expect(code).toBe(0);
  });

  it('brings every order through with competing workers and random kills', async () => {
    const { code, output } = await demo('--workers', '2', '--runs', '12');
    expect(output).toContain('Verdict: orders 12, completed 12, charges 12, duplicates 0, lost 0');
    expect(output).toMatch(/[1-9]\d* killed with SIGKILL and replaced, 0 broke down by themselves/);
    expect(code).toBe(0);
  });

  it('does not take a worker for broken that is sent home while it boots', async () => {
    expect(await finished(startTs('spec/support/dismissed-worker.ts'))).toEqual({ code: 0, output: 'left in order\n' });
  });

  it('ends with 1 and says why when it cannot run', async () => {
    const { code, output } = await demo('--workers', 'many');
    expect(output).toContain('--workers: expected a whole number from 1');
    expect(code).toBe(1);
  });
});

describe("the demo's verdict", () => {
  let db: TestDatabase;
  let orm: MikroORM;
  let store: MikroOrmStateStore;

  beforeAll(async () => {
    db = await TestDatabase.create(KINDS.find(({ driver }) => driver === 'better-sqlite')!);
    orm = await db.openReady({ entities: [...ENTITIES, ...SHOP_ENTITIES] });
    store = new MikroOrmStateStore(orm);
  });
  afterAll(() => db.drop());
  beforeEach(() => recreateShopTables(orm));

  /** An order that went through without incident. */
  async function finishedOrder(): Promise<string> {
    const id = freshId('order');
    const em = orm.em.fork();
    await em.insert(OrderEntity, { id, item: 'kettle', amountCents: 100 });
    await store.createRun(aRun({ id, workflow: WORKFLOW, namespace: NAMESPACE, status: 'completed' }));
    await store.saveCheckpoint(aCheckpoint({ runId: id, seq: 1, name: 'charge' }));
    await em.insert(ReservationEntity, { orderId: id, item: 'kettle', worker: 'w1' });
    await em.insert(ShipmentEntity, { orderId: id, approvedBy: 'Ada', worker: 'w1' });
    await charge(id);
    for (const step of ['reserve', 'charge', 'ship']) {
      await log(id, step, 'started');
      await log(id, step, 'acknowledged');
    }
    return id;
  }

  const charge = (orderId: string) => orm.em.fork().insert(ChargeEntity, { orderId, amountCents: 100, worker: 'w2' });
  const log = (orderId: string, step: string, entry: 'started' | 'acknowledged', worker = 'w1') =>
    orm.em.fork().insert(StepLogEntity, { orderId, step, entry, worker });
  const verdict = () => judge(orm.em, store);

  it('is good when every order has everything once', async () => {
    await finishedOrder();
    await finishedOrder();
    const found = await verdict();
    expect(found).toEqual({
      orders: 2,
      completed: 2,
      charges: 2,
      begun: { reserve: 2, ship: 2 },
      duplicates: [],
      lost: [],
    });
    expect(isGood(found)).toBe(true);
    expect(verdictLines(found)).toEqual(['Verdict: orders 2, completed 2, charges 2, duplicates 0, lost 0']);
  });

  it('reports a second charge of one order', async () => {
    const id = await finishedOrder();
    await charge(id);
    const found = await verdict();
    expect(isGood(found)).toBe(false);
    expect(verdictLines(found)).toEqual([
      'Verdict: orders 1, completed 1, charges 2, duplicates 1, lost 0',
      `  duplicate  ${id}: charged 2 times`,
    ]);
  });

  it('reports a step that ran again after its checkpoint was acknowledged, and names both workers', async () => {
    const id = await finishedOrder();
    await log(id, 'ship', 'started', 'w3');
    const found = await verdict();
    expect(isGood(found)).toBe(false);
    expect(found.duplicates).toEqual([`${id}: ship ran on w3 after w1 had completed it`]);
  });

  it('lets a step run again that was interrupted before it had a checkpoint', async () => {
    const id = freshId('order');
    await log(id, 'reserve', 'started');
    await log(id, 'reserve', 'started', 'w3');
    await log(id, 'reserve', 'acknowledged', 'w3');
    const found = await verdict();
    expect(found.duplicates).toEqual([]);
    expect(found.begun.reserve).toBe(2);
  });

  it('reports a charge whose checkpoint was not committed with it', async () => {
    const id = await finishedOrder();
    await sql(orm).execute("update durable_step_checkpoints set status = 'running' where run_id = ?", [id]);
    expect((await verdict()).duplicates).toEqual([`${id}: charged, but the checkpoint does not know`]);
  });

  it('reports an order that never ended, and what it misses', async () => {
    const id = await finishedOrder();
    await orm.em.fork().nativeDelete(ShipmentEntity, { orderId: id });
    await sql(orm).execute("update durable_workflow_runs set status = 'suspended' where id = ?", [id]);
    const found = await verdict();
    expect(isGood(found)).toBe(false);
    expect(verdictLines(found)).toEqual([
      'Verdict: orders 1, completed 0, charges 1, duplicates 0, lost 1',
      `  lost       ${id}: its run is suspended, no shipment`,
    ]);
  });

  it('reports an order whose run is gone, and one that ended without a charge', async () => {
    const gone = await finishedOrder();
    await store.deleteRun(gone);
    const free = await finishedOrder();
    await orm.em.fork().nativeDelete(ChargeEntity, { orderId: free });
    expect((await verdict()).lost).toEqual(expect.arrayContaining([`${gone}: its run is gone`, `${free}: no charge`]));
  });
});
