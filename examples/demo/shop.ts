import { type EntityManager, EntitySchema, type MikroORM } from '@mikro-orm/core';

/** What a customer ordered; its id is also the id of its workflow run. */
export interface Order {
  id: string;
  item: string;
  amountCents: number;
}

export interface Reservation {
  orderId: string;
  item: string;
  worker: string;
}

export interface Charge {
  id: number;
  orderId: string;
  amountCents: number;
  worker: string;
}

export interface Shipment {
  orderId: string;
  approvedBy: string;
  worker: string;
}

export const OrderEntity = new EntitySchema<Order>({
  name: 'DemoOrder',
  tableName: 'demo_orders',
  properties: {
    id: { type: 'string', length: 64, primary: true },
    item: { type: 'string' },
    amountCents: { type: 'integer' },
  },
});

export const ReservationEntity = new EntitySchema<Reservation>({
  name: 'DemoReservation',
  tableName: 'demo_reservations',
  properties: {
    orderId: { type: 'string', length: 64, primary: true },
    item: { type: 'string' },
    worker: { type: 'string' },
  },
});

/** Without a unique key on the order, on purpose: a second charge must show in the verdict, not be refused. */
export const ChargeEntity = new EntitySchema<Charge>({
  name: 'DemoCharge',
  tableName: 'demo_charges',
  properties: {
    id: { type: 'integer', primary: true, autoincrement: true },
    orderId: { type: 'string', length: 64 },
    amountCents: { type: 'integer' },
    worker: { type: 'string' },
  },
});

export const ShipmentEntity = new EntitySchema<Shipment>({
  name: 'DemoShipment',
  tableName: 'demo_shipments',
  properties: {
    orderId: { type: 'string', length: 64, primary: true },
    approvedBy: { type: 'string' },
    worker: { type: 'string' },
  },
});

/**
 * What the verdict is counted from: a row when a step's body begins, and one after the engine has its completed
 * checkpoint. Ids are given out in the order of the inserts.
 */
export interface StepLogEntry {
  id: number;
  orderId: string;
  step: string;
  entry: 'started' | 'acknowledged';
  worker: string;
}

export const StepLogEntity = new EntitySchema<StepLogEntry>({
  name: 'DemoStepLog',
  tableName: 'demo_step_log',
  properties: {
    id: { type: 'integer', primary: true, autoincrement: true },
    orderId: { type: 'string', length: 64 },
    step: { type: 'string' },
    entry: { type: 'string' },
    worker: { type: 'string' },
  },
});

export const SHOP_ENTITIES = [OrderEntity, ReservationEntity, ChargeEntity, ShipmentEntity, StepLogEntity];

/** What the order workflow does to the world. */
export class Shop {
  constructor(
    private readonly em: EntityManager,
    private readonly worker: string,
    /** The time the outside world takes. */
    private readonly work: (step: 'reserve' | 'charge' | 'ship') => Promise<unknown>,
  ) {}

  /** Reserve stock. May run again after a crash, so the row is keyed by the order and a second one is ignored. */
  async reserve({ id, item }: Order): Promise<void> {
    await this.work('reserve');
    await this.em
      .fork()
      .upsert(ReservationEntity, { orderId: id, item, worker: this.worker }, { onConflictAction: 'ignore' });
  }

  /** Charge the card, in the transaction that also commits the step's checkpoint: both happen or neither. */
  async charge({ id, amountCents }: Order, tx: EntityManager): Promise<void> {
    await tx.insert(ChargeEntity, { orderId: id, amountCents, worker: this.worker });
    await this.work('charge');
  }

  /** Hand the parcel over. Keyed like {@link reserve}. */
  async ship({ id }: Order, approvedBy: string): Promise<void> {
    await this.work('ship');
    await this.em
      .fork()
      .upsert(ShipmentEntity, { orderId: id, approvedBy, worker: this.worker }, { onConflictAction: 'ignore' });
  }
}

/** Make the shop's tables anew. No other table is changed. */
export async function recreateShopTables(orm: MikroORM): Promise<void> {
  for (const { meta } of SHOP_ENTITIES) {
    await orm.em.getConnection().execute(`drop table if exists ${meta.tableName}`);
  }
  await orm.schema.updateSchema({ safe: true, wrap: false });
}
