/** A known defect, put back into the code. */
export interface Mutation {
  /** The defect, as somebody who suffers it would say it. */
  readonly defect: string;
  readonly file: string;
  /** Text that occurs once in the file, and what replaces it. */
  readonly find: string;
  readonly put: string;
  /** The spec file that must go red, and the database it runs on; every database when absent. */
  readonly spec: string;
  readonly on?: string;
}

const SQLITE = 'SQLite \\(better-sqlite\\)';
const POSTGRESQL = '^PostgreSQL';
const MYSQL = '^(MySQL|MariaDB) driver ';

export const MUTATIONS: readonly Mutation[] = [
  {
    defect: 'a taken waiter is read, then deleted: several callers get it',
    file: 'lib/dialect.ts',
    find: "  takeOldest: 'delete-locked',\n  returning: true,",
    put: "  takeOldest: 'select-delete',\n  returning: false,",
    spec: 'spec/statement-counts',
    on: POSTGRESQL,
  },
  {
    defect: 'the loser of a take believes it won',
    file: 'lib/buffered-signals.ts',
    find: "return mine === 1 ? this.taken(row) : 'contended';",
    put: 'return mine <= 1 ? this.taken(row) : null;',
    spec: 'spec/contract.mysql',
    on: '^MySQL driver, statements for MySQL 8',
  },
  {
    defect: 'a buffered signal is missed while a competitor takes the one before it',
    file: 'lib/buffered-signals.ts',
    find: "return row.taken ? this.taken(row) : 'contended';",
    put: 'return row.taken ? this.taken(row) : null;',
    spec: 'spec/contention',
    on: POSTGRESQL,
  },
  {
    defect: 'saving a checkpoint again keeps its old wake_at',
    file: 'lib/checkpoints.ts',
    find: 'columns.filter((column) => !keys.includes(column)),',
    put: "columns.filter((column) => !keys.includes(column) && column !== checkpoints.column('wakeAt')),",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'seq is unsigned: compensations cannot be saved',
    file: 'schemas/columns.ts',
    find: "return database === 'sqlite' ? 'integer' : 'int';",
    put: "return database === 'sqlite' ? 'integer' : database === 'mysql' ? 'int unsigned' : 'int';",
    spec: 'spec/contract.mysql',
    on: MYSQL,
  },
  {
    defect: 'number attributes are 4-byte floats',
    file: 'schemas/columns.ts',
    find: "return 'double precision';",
    put: "return 'real';",
    spec: 'spec/contract.postgresql',
  },
  {
    defect: 'instants are whole seconds',
    file: 'schemas/columns.ts',
    find: "return 'datetime(3)';",
    put: "return 'datetime';",
    spec: 'spec/contract.mysql',
    on: MYSQL,
  },
  {
    defect: 'a fractional timer is rounded down and fires early',
    file: 'schemas/instants.ts',
    find: 'Math.ceil(ms)',
    put: 'Math.floor(ms)',
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'a tag is matched as a pattern',
    file: 'lib/dialect.ts',
    find: '`exists (select 1 from json_each(${column}) as tag where tag.value = ?)`',
    put: "`${column} like '%\"' || ? || '\"%'`",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'a prefix is matched as a pattern',
    file: 'lib/prefix.ts',
    find: '  const after = successor(prefix);',
    put: "  if (prefix !== '') return { text: `${column} like ?`, params: [`${prefix}%`] };\n  const after = successor(prefix);",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'keys ignore case and trailing spaces',
    file: 'schemas/columns.ts',
    find: 'collate ${collation}`;',
    put: "collate ${collation.replace(/utf8mb4_\\w+/, 'utf8mb4_general_ci')}`;",
    spec: 'spec/contract.mysql',
    on: MYSQL,
  },
  {
    defect: 'keys ignore trailing spaces',
    file: 'schemas/columns.ts',
    find: 'collate ${collation}`;',
    put: "collate ${collation.replace(/utf8mb4_\\w+/, 'utf8mb4_bin')}`;",
    spec: 'spec/contract.mysql',
    on: MYSQL,
  },
  {
    defect: 'a run stays although its attributes could not be stored',
    file: 'lib/store.ts',
    find: "await this.session.transaction('createRun'",
    put: "await this.session.call('createRun'",
    spec: 'spec/statement-counts',
  },
  {
    defect: 'creating a run that exists overwrites it',
    file: 'lib/runs.ts',
    find: 'await sql.run(this.insert(rows.length) + sql.dialect.ignoreConflict([id]), rows.flat());',
    put: "await sql.run(this.insert(rows.length) + sql.dialect.replaceConflict([id], [this.tables.runs.column('status')]), rows.flat());",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'creating a run that exists fails',
    file: 'lib/runs.ts',
    find: 'await sql.run(this.insert(rows.length) + sql.dialect.ignoreConflict([id]), rows.flat());',
    put: 'await sql.run(this.insert(rows.length), rows.flat());',
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'a patch writes fields it does not name',
    file: 'lib/rows.ts',
    find: "if (property === 'id' || !Object.hasOwn(patch, property)) continue;",
    put: "if (property === 'id') continue;",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'a JSON null comes back as absent',
    file: 'lib/limits.ts',
    find: 'if (value === undefined) return null;',
    put: 'if (value === undefined || value === null) return null;',
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'payload keys are reordered',
    file: 'schemas/columns.ts',
    find: "return 'json';\n      case 'mysql':\n        return 'longtext character set utf8mb4';",
    put: "return 'jsonb';\n      case 'mysql':\n        return 'longtext character set utf8mb4';",
    spec: 'spec/contract.postgresql',
  },
  {
    defect: 'runs created in the same millisecond have no order',
    file: 'lib/listings.ts',
    find: "const newestFirst = ` order by ${runs.column('createdAt')} desc, ${this.id(sql)} desc`;",
    put: "const newestFirst = ` order by ${runs.column('createdAt')} desc`;",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'a finished run can be leased and runs again',
    file: 'lib/types.ts',
    find: "export const UNLOCKABLE_STATUSES: readonly RunStatus[] = ['completed', 'cancelled', 'dead'];",
    put: "export const UNLOCKABLE_STATUSES: readonly RunStatus[] = ['dead'];",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'a lease is released before the final status is written',
    file: 'lib/store.ts',
    find: 'await this.inFlight.quiet(runId, this.options.releaseWaitMs ?? 5000);',
    put: '',
    spec: 'spec/lease-window',
  },
  {
    defect: 'a lost lease is renewed',
    file: 'lib/leases.ts',
    find: 'where ${id} = ? and ${by} = ?${confined}`;\n    this.releaseText',
    put: "where ${id} = ? and ${by} <> '' and ? <> ''${confined}`;\n    this.releaseText",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'pruning removes a run that was requeued meanwhile',
    file: 'lib/dialect.ts',
    find: "  forUpdate: ' for update',\n  writesFirst: false,\n  isolation: 'read committed',\n  effect: 'count',\n  deletePrefix: '',\n  countsChangedRows: false,",
    put: "  forUpdate: '',\n  writesFirst: false,\n  isolation: 'read committed',\n  effect: 'count',\n  deletePrefix: '',\n  countsChangedRows: false,",
    spec: 'spec/contention',
    on: POSTGRESQL,
  },
  {
    defect: 'pruning removes the newest surplus first',
    file: 'lib/retention.ts',
    find: "`order by ${runs.column('updatedAt')}, ${sql.dialect.bytewise(runs.column('id'))} limit",
    put: "`order by ${runs.column('updatedAt')} desc, ${sql.dialect.bytewise(runs.column('id'))} limit",
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'deleting a run leaves its waiters',
    file: 'lib/runs.ts',
    find: 'for (const table of [checkpoints, waiters, attributes]) {',
    put: 'for (const table of [checkpoints, attributes]) {\n      void waiters;',
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
  {
    defect: 'a deadlock fails the workflow',
    file: 'lib/session.ts',
    find: "failure === 'rolled-back' ||",
    put: '',
    spec: 'spec/contention',
    on: POSTGRESQL,
  },
  {
    defect: 'a store joins the transaction the host happens to have open',
    file: 'lib/session.ts',
    find: 'this.joined ? { keepTransactionContext: true } : { disableContextResolution: true },',
    put: '{ keepTransactionContext: true },',
    spec: 'spec/contract.postgresql',
  },
  {
    defect: 'a confined store reads other namespaces',
    file: 'lib/scope.ts',
    find: "return { text: ` and ${this.tables.runs.column('namespace')} = ?`, params: [this.namespace] };",
    put: 'return NOTHING;',
    spec: 'spec/contract.sqlite',
    on: SQLITE,
  },
];
