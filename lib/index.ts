export {
  BufferedSignalEntity,
  type BufferedSignalRow,
  type DurableEntities,
  type DurableEntitiesOptions,
  durableEntities,
  durableManagedTables,
  ENTITIES,
  type MySqlCollation,
  type Naming,
  RunAttributeEntity,
  type RunAttributeRow,
  SignalWaiterEntity,
  type SignalWaiterRow,
  StepCheckpointEntity,
  type StepCheckpointRow,
  WorkflowRunEntity,
  type WorkflowRunRow,
} from '../schemas';
export type { RetryOptions } from './attempts';
export { MikroOrmControlPlane, type MikroOrmControlPlaneOptions } from './control-plane/control-plane';
export {
  DurableClosedError,
  DurableConfigurationError,
  DurableDatabaseError,
  type DurableErrorCode,
  DurableInputError,
  DurableRowError,
  DurableRunNotFoundError,
  DurableSchemaError,
  DurableStoreError,
  DurableTransactionError,
} from './errors';
export type { DurableSchemaOptions, MikroOrmStateStoreOptions } from './options';
export {
  type DurableSchemaPlan,
  type DurableSchemaReport,
  durableSchemaSql,
  ensureMikroOrmDurableSchema,
  planMikroOrmDurableSchema,
} from './schema';
export type { OrmLike } from './session';
export type { GroupCommitOptions } from './sharing';
export { type SqliteConfigOptions, sqliteConfig } from './sqlite-config';
export { MikroOrmStateStore } from './store';
export type {
  AttributeFilter,
  BufferedEvent,
  PayloadCodec,
  RetentionPolicy,
  RunFacet,
  RunFacetQuery,
  RunQuery,
  RunStatus,
  SearchAttributes,
  SignalWaiter,
  StateStore,
  StepCheckpoint,
  StepError,
  StepEvent,
  StepKind,
  StoreTransaction,
  WorkflowRun,
} from './types';
