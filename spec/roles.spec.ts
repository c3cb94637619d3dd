import type { MikroORM } from '@mikro-orm/core';
import { durableManagedTables, ensureMikroOrmDurableSchema, MikroOrmStateStore } from '../lib';
import { type DatabaseKind, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun } from './support/fixtures';

const PASSWORD = 'durable-secret-1';

/** What docs/operations.md says the two roles need, and that the role that runs needs no more. */
eachDatabase(
  KINDS.filter(({ family }) => family !== 'sqlite'),
  (kind) => {
    let db: TestDatabase;
    let admin: MikroORM;
    let roles: { boot: string; run: string };

    beforeEach(async () => {
      db = await TestDatabase.create(kind);
      admin = await db.open();
      roles = { boot: `boot_${db.dbName.slice(-12)}`, run: `run_${db.dbName.slice(-12)}` };
      for (const role of Object.values(roles)) await execute(created(kind, role));
      for (const grant of bootGrants(kind, db.dbName, roles.boot)) await execute(grant);
    });
    afterEach(async () => {
      for (const role of Object.values(roles)) for (const statement of dropped(kind, role)) await execute(statement);
      await db.drop();
    });

    const execute = (statement: string) => sql(admin).execute(statement);
    // MySQL's own way to check a password, without TLS, through the driver of MariaDB.
    const driverOptions = kind.driver === 'mariadb' ? { connection: { allowPublicKeyRetrieval: true } } : {};
    const as = (role: string) => db.open({ user: role, password: PASSWORD, driverOptions });

    it('lets one role complete the tables and another do all the work', async () => {
      const boot = await as(roles.boot);
      await ensureMikroOrmDurableSchema(boot);
      for (const grant of runGrants(kind, db.dbName, roles.run)) await execute(grant);
      const run = await as(roles.run);
      const store = new MikroOrmStateStore(run);
      await store.ensureSchema();
      await work(store);
      // A later version adds a column and an index.
      await sql(boot).execute('alter table durable_workflow_runs drop column origin');
      await sql(boot).execute(
        kind.family === 'mysql'
          ? 'drop index durable_workflow_runs_created_at_idx on durable_workflow_runs'
          : 'drop index durable_workflow_runs_created_at_idx',
      );
      await expect(store.ensureSchema()).rejects.toMatchObject({ code: 'DURABLE_DATABASE_ERROR', transient: false });
      expect((await ensureMikroOrmDurableSchema(boot)).executed).toHaveLength(2);
      await work(store);
      await boot.close(true);
      await run.close(true);
    });

    if (kind.family === 'postgresql') {
      it('refuses a role that may insert and not count, with the grant to run', async () => {
        const boot = await as(roles.boot);
        await ensureMikroOrmDurableSchema(boot);
        const [counter, ...others] = runGrants(kind, db.dbName, roles.run).reverse();
        for (const grant of others.reverse()) await execute(grant);
        const run = await as(roles.run);
        for (const call of [
          () => new MikroOrmStateStore(run).ensureSchema(),
          () => new MikroOrmStateStore(run).getRun('r'),
        ]) {
          await expect(call()).rejects.toMatchObject({
            code: 'DURABLE_MISSING_GRANT',
            message: expect.stringContaining(counter as string),
          });
        }
        await execute(counter as string);
        await work(new MikroOrmStateStore(run));
        await boot.close(true);
        await run.close(true);
      });
    }
  },
);

async function work(store: MikroOrmStateStore): Promise<void> {
  const run = aRun({ tags: ['a'], searchAttributes: { n: 1 } });
  await store.createRun(run);
  await store.tryLockRun(run.id, 'me', 2000, 1000);
  await store.saveCheckpoint(aCheckpoint({ runId: run.id, seq: 0 }));
  await store.putSignalWaiter({ token: run.id, runId: run.id, seq: 7 });
  expect(await store.takeSignalWaiter(run.id)).toMatchObject({ runId: run.id });
  await store.bufferSignal(run.id, 1);
  expect(await store.takeBufferedSignal(run.id)).toEqual({ payload: 1 });
  await store.bufferEvent({ id: run.id, name: 'n', payload: 1, publishedAt: 1 });
  expect(await store.removeBufferedEvent(run.id)).toBe(true);
  await store.transaction(async (tx) => tx.saveCheckpoint(aCheckpoint({ runId: run.id, seq: 1 })));
  await store.updateRun(run.id, { status: 'completed', searchAttributes: { n: 2 }, updatedAt: new Date(0) });
  expect(await store.listRuns({ tag: 'a' })).toHaveLength(1);
  expect(await store.pruneTerminalRuns({ statuses: ['completed'], maxAge: '1d' }, Date.now(), 10)).toBe(1);
}

function created({ family }: DatabaseKind, role: string): string {
  return family === 'postgresql'
    ? `create role ${role} login password '${PASSWORD}'`
    : `create user '${role}'@'%' identified by '${PASSWORD}'`;
}

function dropped({ family }: DatabaseKind, role: string): string[] {
  return family === 'postgresql' ? [`drop owned by ${role}`, `drop role ${role}`] : [`drop user '${role}'@'%'`];
}

function bootGrants({ family }: DatabaseKind, dbName: string, role: string): string[] {
  return family === 'postgresql'
    ? [`grant usage, create on schema public to ${role}`]
    : [`grant select, create, alter, index on ${dbName}.* to '${role}'@'%'`];
}

function runGrants({ family }: DatabaseKind, dbName: string, role: string): string[] {
  if (family === 'mysql') return [`grant select, insert, update, delete on ${dbName}.* to '${role}'@'%'`];
  return [
    `grant usage on schema public to ${role}`,
    `grant select, insert, update, delete on ${durableManagedTables().join(', ')} to ${role}`,
    `grant usage on sequence durable_buffered_signals_id_seq to ${role}`,
  ];
}
