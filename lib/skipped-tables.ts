import { type Configuration, type EntityMetadata, Utils } from '@mikro-orm/core';
import { DurableConfigurationError } from './errors';

/**
 * Refuse a config by which MikroORM's migrations drop these tables with all they hold.
 *
 * `skipTables` takes a registered entity out of what the entities want, but not out of what MikroORM believes is there: the
 * snapshot that `migration:up` takes of the whole database (mikro-orm#8037), and before 6.6.3 the database itself. The next
 * `migration:create` then finds tables nobody wants. A config without migrations, or whose migrations drop no tables, passes.
 *
 * @throws DurableConfigurationError `DURABLE_TABLES_SKIPPED`
 */
export function assertKeptByMigrations(config: Configuration, metadata: readonly EntityMetadata[]): void {
  const skipped = metadata.filter((meta) => isSkipped(config, meta)).map(({ tableName }) => tableName);
  if (skipped.length === 0 || !mayDropTables(config)) return;
  if (!dropsSkippedTables(Utils.getORMVersion(), config.get('migrations').snapshot !== false)) return;
  throw new DurableConfigurationError(
    'DURABLE_TABLES_SKIPPED',
    `schemaGenerator.skipTables names ${skipped.join(', ')}, whose entities are registered in this config: the next migration ` +
      'that MikroORM creates from it drops them, with every run. Take them out of skipTables; nothing else is needed',
  );
}

function isSkipped(config: Configuration, { schema, tableName }: EntityMetadata): boolean {
  const names = [tableName, `${schema ?? config.get('schema')}.${tableName}`];
  const skipped: readonly (string | RegExp)[] = config.get('schemaGenerator').skipTables ?? [];
  return skipped.some((pattern) =>
    names.some((name) =>
      typeof pattern === 'string' ? pattern.toLowerCase() === name.toLowerCase() : name.search(pattern) >= 0,
    ),
  );
}

/** Whether migrations are created from this config, as far as it shows, and may drop tables. */
function mayDropTables(config: Configuration): boolean {
  const { path, pathTs, migrationsList, dropTables, safe } = config.get('migrations');
  const hasMigrator = config
    .get('extensions')
    .some((extension) => 'name' in extension && extension.name === 'Migrator');
  const isSetUp = hasMigrator || path !== './migrations' || pathTs !== undefined || migrationsList !== undefined;
  return isSetUp && dropTables !== false && safe !== true;
}

/** Whether `migration:create` of this MikroORM, with its snapshot or without, drops a table that `skipTables` names. */
export function dropsSkippedTables(version: string, snapshot: boolean): boolean {
  if (isBefore(version, 6, 5, 0)) return false; // knows no skipTables
  if (isBefore(version, 6, 6, 3)) return true;
  return snapshot && isBefore(version, 7, 1, 12);
}

function isBefore(version: string, ...than: readonly number[]): boolean {
  const parts = version.split('.').map(Number.parseFloat);
  const differing = than.findIndex((part, position) => parts[position] !== part);
  return differing >= 0 && (parts[differing] ?? 0) < (than[differing] as number);
}
