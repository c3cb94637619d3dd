import { EntitySchema } from '@mikro-orm/core';

/** A table of the host application beside ours; nothing of ours may touch it. */
export interface HostOrder {
  id: string;
  total: number;
}

export const HostOrderEntity = new EntitySchema<HostOrder>({
  name: 'HostOrder',
  tableName: 'host_orders',
  properties: {
    id: { type: 'string', primary: true, fieldName: 'id' },
    total: { type: 'integer', fieldName: 'total' },
  },
});
