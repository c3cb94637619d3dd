export {
  type DurableSchemaReport,
  durableSchemaSql,
  ensureMikroOrmDurableSchema,
  ensureSchemaOnBoot,
  planMikroOrmDurableSchema,
} from './ensure';
export type { Plan as DurableSchemaPlan } from './plan';
