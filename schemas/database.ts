import type { Platform } from '@mikro-orm/core';

/** The three families of databases this library speaks to. MariaDB counts as `mysql` here. */
export type Database = 'sqlite' | 'postgresql' | 'mysql';

/** Drivers and servers that are tested, in the words an error message uses. */
export const SUPPORTED_DATABASES = 'SQLite, PostgreSQL, MySQL 8 and MariaDB';

/**
 * The family a MikroORM platform belongs to, or `undefined` when it is none of ours.
 *
 * Asked by behaviour, not by class name: bundlers rename classes, and a subclass of a platform is still that database.
 */
export function databaseOf(platform: Platform): Database | undefined {
  // Platforms that are not SQL have no schema to help with, but share the base class's spelling of types.
  if (!platform.getSchemaHelper()) return undefined;
  switch (declaredInstant(platform)) {
    case 'datetime':
      return 'sqlite';
    case 'timestamptz(3)':
      return 'postgresql';
    case 'datetime(3)':
      return 'mysql';
    default:
      return undefined;
  }
}

/** How the platform spells a column of millisecond precision; the three families differ in exactly this. */
function declaredInstant(platform: Platform): string | undefined {
  try {
    return platform.getDateTimeTypeDeclarationSQL({ length: 3 });
  } catch {
    return undefined;
  }
}
