export {
  type DurableSchemaReport,
  durableSchemaSql,
  ensureMikroOrmDurableSchema,
  planMikroOrmDurableSchema,
} from './ensure';
export type { Plan as DurableSchemaPlan } from './plan';
