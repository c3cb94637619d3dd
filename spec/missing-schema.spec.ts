import type { MikroORM } from '@mikro-orm/core';
import { DurableSchemaError, MikroOrmStateStore } from '../lib';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';

/** The calls that meet a column first, by what an older schema may lack. */
const MISSING: [
  table: string,
  column: string,
  operation: string,
  call: (store: MikroOrmStateStore) => Promise<unknown>,
][] = [
  ['durable_workflow_runs', 'origin', 'createRun', (store) => store.createRun(aRun())],
  ['durable_workflow_runs', 'origin', 'getRun', (store) => store.getRun('r')],
  ['durable_workflow_runs', 'origin', 'updateRun', (store) => store.updateRun('r', { origin: 'x' })],
  ['durable_step_checkpoints', 'parallel_group', 'saveCheckpoint', (store) => store.saveCheckpoint(aCheckpoint())],
  ['durable_buffered_signals', 'published_at', 'bufferEvent', (store) => store.bufferEvent(anEvent())],
];

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;
  let orm: MikroORM;
  beforeEach(async () => {
    db = await TestDatabase.create(kind);
    orm = await db.openReady();
  });
  afterEach(() => db.drop());

  it.each(MISSING)(
    '%s without %s: %s says so, with the statement that mends it',
    async (table, column, operation, call) => {
      const store = new MikroOrmStateStore(orm);
      await drop(table, column);
      const failure = await failureOf(call(store));
      expect(failure.code).toBe('DURABLE_SCHEMA_MISSING');
      expect(failure.message).toContain(`${operation}: a durable column is missing`);
      expect(failure.problems.join()).toContain(column);
      const statements = failure.statements.join(';\n');
      expect(statements).toMatch(new RegExp(`alter table .*${table}.* add .*${column}`));
      expect(failure.message).toContain(statements.split('\n')[0]);
      for (const statement of failure.statements) await sql(orm).execute(statement, [], 'run');
      await call(store).catch((error: Error) => expect(error.message).toContain('not found'));
    },
  );

  it('a missing table: says so, with the statements that create it', async () => {
    const store = new MikroOrmStateStore(orm);
    await sql(orm).execute('drop table durable_signal_waiters', [], 'run');
    const failure = await failureOf(store.takeSignalWaiter('t'));
    expect(failure).toMatchObject({
      code: 'DURABLE_SCHEMA_MISSING',
      message: expect.stringContaining('table is missing'),
    });
    for (const statement of failure.statements) await sql(orm).execute(statement, [], 'run');
    expect(await store.takeSignalWaiter('t')).toBeNull();
  });

  /** An index goes with its column where the database does not see to that itself. */
  async function drop(table: string, column: string): Promise<void> {
    if (kind.family === 'sqlite') {
      const indexes = await sql(orm).execute<{ name: string }[]>(
        `select name from sqlite_master where type = 'index' and tbl_name = ? and sql like ?`,
        [table, `%${column}%`],
      );
      for (const { name } of indexes) await sql(orm).execute(`drop index ${name}`, [], 'run');
    }
    await sql(orm).execute(`alter table ${table} drop column ${column}`, [], 'run');
  }
});

function anEvent() {
  return { id: 'event', name: 'paid', payload: null, publishedAt: 1 };
}

async function failureOf(call: Promise<unknown>): Promise<DurableSchemaError> {
  const error = await call.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DurableSchemaError);
  return error as DurableSchemaError;
}
