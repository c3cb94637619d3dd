import type { Database } from '../../schemas/database';
import type { Param, Row } from '../session';
import { declaredCollation } from './sqlite-collation';

/** A column as the database has it. */
export interface FoundColumn {
  readonly table: string;
  readonly name: string;
  /** The database's own spelling, lower case. */
  readonly type: string;
  readonly collation: string;
  /** Whether the collation is known to take different texts for one; where its name tells, the name is judged. */
  readonly isInexact: boolean;
  /** NOT NULL, and nothing fills it when an insert does not name it. */
  readonly mustBeGiven: boolean;
}

/** An index that is there and cannot be used: one that is being built CONCURRENTLY, or whose build has failed. */
export interface UnusableIndex {
  readonly table: string;
  readonly name: string;
  readonly isUnique: boolean;
}

/** What the database has of the five tables. */
export interface Found {
  readonly tables: ReadonlySet<string>;
  readonly columns: readonly FoundColumn[];
  /** Index names by table, the unusable ones included. */
  readonly indexes: ReadonlyMap<string, ReadonlySet<string>>;
  readonly unusable: readonly UnusableIndex[];
  /** Whether the database schema itself exists. */
  readonly hasSchema: boolean;
}

/** The one query that finds the five tables; its cost does not depend on how many others there are. */
export function inspection(database: Database, tables: readonly string[], schema: string | undefined): Query {
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
export function found(rows: readonly Row[]): Found {
  const ofKind = (kind: string) => rows.filter((row) => row.kind === kind);
  const columns = ofKind('column').map(toColumn);
  const indexes = new Map<string, Set<string>>();
  const unusable: UnusableIndex[] = [];
  for (const row of ofKind('index')) {
    const [table, name] = [String(row.tableName), String(row.name)];
    indexes.set(table, (indexes.get(table) ?? new Set()).add(name));
    if (row.type !== '') unusable.push({ table, name, isUnique: row.type === 'unusable unique' });
  }
  return {
    tables: new Set(columns.map(({ table }) => table)),
    columns,
    indexes,
    unusable,
    hasSchema: ofKind('schema').length > 0,
  };
}

function toColumn(row: Row): FoundColumn {
  const name = String(row.name);
  const declared = row.definition ? declaredCollation(String(row.definition), name) : '';
  return {
    table: String(row.tableName),
    name,
    type: String(row.type ?? '').toLowerCase(),
    collation: declared || String(row.collation ?? ''),
    isInexact: Number(row.isInexact) === 1 || !/^(binary)?$/i.test(declared),
    mustBeGiven: Number(row.mustBeGiven) === 1,
  };
}

interface Query {
  text: string;
  params: Param[];
}

function inspectSqlite(tables: readonly string[]): Query {
  const names = tables.map(() => '?').join(', ');
  return {
    text:
      `select 'column' as kind, m.name as tableName, c.name as name, c.type as type, '' as collation, 0 as isInexact, ` +
      `c."notnull" = 1 and c.dflt_value is null and not (c.pk = 1 and lower(c.type) = 'integer') as mustBeGiven, ` +
      `m.sql as definition ` +
      `from sqlite_master as m join pragma_table_info(m.name) as c where m.type = 'table' and m.name in (${names}) ` +
      `union all select 'index', tbl_name, name, '', '', 0, 0, '' from sqlite_master where type = 'index' and tbl_name in (${names}) ` +
      `union all select 'schema', '', '', '', '', 0, 0, ''`,
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
  const one = [...tables, ...own];
  return {
    text:
      `select 'column' as kind, t.relname::text as "tableName", a.attname::text as name, ` +
      `format_type(a.atttypid, a.atttypmod) as type, coalesce(c.collname::text, '') as collation, ` +
      `coalesce(not c.collisdeterministic, false)::int as "isInexact", ` +
      `(a.attnotnull and not a.atthasdef and a.attidentity = '')::int as "mustBeGiven" ` +
      `${from} join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped ` +
      `left join pg_collation c on c.oid = a.attcollation ${where} ` +
      `union all select 'index', t.relname::text, i.relname::text, ` +
      `case when x.indisvalid then '' when x.indisunique then 'unusable unique' else 'unusable' end, '', 0, 0 ` +
      `${from} join pg_index x on x.indrelid = t.oid join pg_class i on i.oid = x.indexrelid ${where} ` +
      `union all select 'schema', '', '', '', '', 0, 0 where ${schema === undefined ? 'true' : 'exists (select 1 from pg_namespace where nspname = ?)'}`,
    params: [...one, ...one, ...own],
  };
}

function inspectMysql(tables: readonly string[], schema: string | undefined): Query {
  const place = schema === undefined ? 'database()' : '?';
  const own = schema === undefined ? [] : [schema];
  // One lookup per table: information_schema answers equality from that table alone, a list by reading every table.
  const parts = tables.map(
    () =>
      `select 'column' as kind, table_name as tableName, column_name as name, column_type as type, ` +
      `coalesce(collation_name, '') as collation, 0 as isInexact, ` +
      `is_nullable = 'NO' and column_default is null and extra not like '%auto_increment%' as mustBeGiven ` +
      `from information_schema.columns where table_schema = ${place} and table_name = ? ` +
      `union all select distinct 'index', table_name, index_name, '', '', 0, 0 ` +
      `from information_schema.statistics where table_schema = ${place} and table_name = ?`,
  );
  return {
    text: `${parts.join(' union all ')} union all select 'schema', '', '', '', '', 0, 0`,
    params: tables.flatMap((table) => [...own, table, ...own, table]),
  };
}
