import type { Database } from '../../schemas/database';
import type { Param } from '../session';

/** A column as the database has it. */
export interface FoundColumn {
  readonly table: string;
  readonly name: string;
  /** The database's own spelling, lower case. */
  readonly type: string;
  readonly collation: string;
  /** NOT NULL, and nothing fills it when an insert does not name it. */
  readonly mustBeGiven: boolean;
}

/** What the database has of the five tables. */
export interface Found {
  readonly tables: ReadonlySet<string>;
  readonly columns: readonly FoundColumn[];
  /** Index names, by table. */
  readonly indexes: ReadonlyMap<string, ReadonlySet<string>>;
  /** Whether the database schema itself exists. */
  readonly hasSchema: boolean;
}

/** The one query that finds the five tables; its cost does not depend on how many others there are. */
export function inspection(database: Database, tables: readonly string[], schema: string | undefined) {
  switch (database) {
    case 'sqlite':
      return inspectSqlite(tables);
    case 'postgresql':
      return inspectPostgresql(tables, schema);
    case 'mysql':
      return inspectMysql(tables, schema);
  }
}

/** Read the rows of {@link inspection}. */
export function found(rows: readonly Record<string, unknown>[]): Found {
  const columns: FoundColumn[] = [];
  const indexes = new Map<string, Set<string>>();
  let hasSchema = false;
  for (const row of rows) {
    const table = String(row.tableName);
    if (row.kind === 'schema') hasSchema = true;
    else if (row.kind === 'index') indexes.set(table, (indexes.get(table) ?? new Set()).add(String(row.name)));
    else {
      columns.push({
        table,
        name: String(row.name),
        type: String(row.type ?? '').toLowerCase(),
        collation: String(row.collation ?? ''),
        mustBeGiven: Number(row.mustBeGiven) === 1,
      });
    }
  }
  return { tables: new Set(columns.map(({ table }) => table)), columns, indexes, hasSchema };
}

interface Query {
  text: string;
  params: Param[];
}

function inspectSqlite(tables: readonly string[]): Query {
  const names = tables.map(() => '?').join(', ');
  return {
    text:
      `select 'column' as kind, m.name as tableName, c.name as name, c.type as type, '' as collation, ` +
      `c."notnull" = 1 and c.dflt_value is null and not (c.pk = 1 and lower(c.type) = 'integer') as mustBeGiven ` +
      `from sqlite_master as m join pragma_table_info(m.name) as c where m.type = 'table' and m.name in (${names}) ` +
      `union all select 'index', tbl_name, name, '', '', 0 from sqlite_master where type = 'index' and tbl_name in (${names}) ` +
      `union all select 'schema', '', '', '', '', 0`,
    params: [...tables, ...tables],
  };
}

function inspectPostgresql(tables: readonly string[], schema: string | undefined): Query {
  const names = tables.map(() => '?').join(', ');
  // Without a schema the tables are the ones that unqualified names find.
  const place = schema === undefined ? 'pg_table_is_visible(t.oid)' : 'n.nspname = ?';
  const own = schema === undefined ? [] : [schema];
  const from = `from pg_class t join pg_namespace n on n.oid = t.relnamespace`;
  const where = `where t.relkind in ('r', 'p') and t.relname in (${names}) and ${place}`;
  return {
    text:
      `select 'column' as kind, t.relname::text as "tableName", a.attname::text as name, ` +
      `format_type(a.atttypid, a.atttypmod) as type, coalesce(c.collname::text, '') as collation, ` +
      `(a.attnotnull and not a.atthasdef and a.attidentity = '')::int as "mustBeGiven" ` +
      `${from} join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped ` +
      `left join pg_collation c on c.oid = a.attcollation ${where} ` +
      `union all select 'index', t.relname::text, i.relname::text, '', '', 0 ` +
      `${from} join pg_index x on x.indrelid = t.oid and x.indisvalid join pg_class i on i.oid = x.indexrelid ${where} ` +
      `union all select 'schema', '', '', '', '', 0 where ${schema === undefined ? 'true' : 'exists (select 1 from pg_namespace where nspname = ?)'}`,
    params: [...tables, ...own, ...tables, ...own, ...own],
  };
}

function inspectMysql(tables: readonly string[], schema: string | undefined): Query {
  const place = schema === undefined ? 'database()' : '?';
  const own = schema === undefined ? [] : [schema];
  // One lookup per table: information_schema answers equality from that table alone, a list by reading every table.
  const parts = tables.map(
    () =>
      `select 'column' as kind, table_name as tableName, column_name as name, column_type as type, ` +
      `coalesce(collation_name, '') as collation, ` +
      `is_nullable = 'NO' and column_default is null and extra not like '%auto_increment%' as mustBeGiven ` +
      `from information_schema.columns where table_schema = ${place} and table_name = ? ` +
      `union all select distinct 'index', table_name, index_name, '', '', 0 ` +
      `from information_schema.statistics where table_schema = ${place} and table_name = ?`,
  );
  return {
    text: `${parts.join(' union all ')} union all select 'schema', '', '', '', '', 0`,
    params: tables.flatMap((table) => [...own, table, ...own, table]),
  };
}
