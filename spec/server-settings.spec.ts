import type { Options } from '@mikro-orm/core';
import { DurableConfigurationError, ENTITIES, MikroOrmStateStore } from '../lib';
import { battery } from './hostile/battery';
import { connect, connection, eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aCheckpoint, aRun, freshId } from './support/fixtures';

/** Settings of a session that programs and administrators are known to have, and the server that alone has them. */
const SERVED: [statement: string, only?: 'mysql' | 'mariadb'][] = [
  ['set session sql_require_primary_key = 1', 'mysql'],
  ['set session sql_generate_invisible_primary_key = 1', 'mysql'],
  ['set session sql_safe_updates = 1'],
  ['set collation_connection = utf8mb4_general_ci'],
  ['set session default_storage_engine = MyISAM'],
  [
    "set session sql_mode = 'PIPES_AS_CONCAT,ONLY_FULL_GROUP_BY,NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE,IGNORE_SPACE'",
  ],
  ["set session sql_mode = concat(@@sql_mode, ',PAD_CHAR_TO_FULL_LENGTH')"],
  ["set session sql_mode = 'ANSI,TRADITIONAL'"],
  ['set session transaction isolation level read uncommitted'],
  ['set session transaction isolation level serializable'],
  ['set session innodb_snapshot_isolation = ON', 'mariadb'],
  ['set session unique_checks = 0; set session foreign_key_checks = 0'],
  ["set session internal_tmp_mem_storage_engine = 'MEMORY'", 'mysql'],
  ["set session optimizer_switch = 'derived_merge=off'"],
  ["set session time_zone = '+13:00'"],
  ['set session div_precision_increment = 30'],
];

eachDatabase(
  KINDS.filter(({ family }) => family === 'mysql'),
  (kind) => {
    let db: TestDatabase;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      await db.ensureSchema();
    });
    afterAll(() => db.drop());

    it.each([
      ['set session autocommit = 0', 'set autocommit = 1'],
      ['set names latin1', 'charset utf8mb4'],
      ['set names utf8mb3', 'charset utf8mb4'],
      ['set session sql_select_limit = 2', 'set sql_select_limit = default'],
      ["set session completion_type = 'CHAIN'", 'set completion_type = NO_CHAIN'],
      ["set session completion_type = 'RELEASE'", 'set completion_type = NO_CHAIN'],
    ])('refuses a session of “%s” at the first call and says what to change', async (statement, remedy) => {
      const orm = await db.open(beginningWith(statement));
      const store = new MikroOrmStateStore(orm);
      const calls = [
        () => store.createRun(aRun()),
        () => store.listPendingRuns(10),
        () => store.ensureSchema(),
        () => store.getRun('r'),
      ];
      for (const call of calls) {
        const failure = await call().catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(DurableConfigurationError);
        expect(failure).toMatchObject({
          code: 'DURABLE_UNSUPPORTED_SETTING',
          message: expect.stringContaining(remedy),
        });
      }
    });

    it.each(SERVED.filter(([, only]) => only === undefined || only === kind.system))(
      'makes tables and serves a session of “%s”',
      async (statement) => {
        const fresh = await TestDatabase.create(kind);
        const store = new MikroOrmStateStore(await fresh.open(beginningWith(...statement.split('; '))));
        await store.ensureSchema();
        await battery(store);
        const runs = Array.from({ length: 12 }, () =>
          aRun({ tags: ['', '😀'], searchAttributes: { empty: '', n: 1.5 } }),
        );
        await Promise.all(runs.map((run) => store.createRun(run)));
        expect(await Promise.all(runs.map(({ id }) => store.tryLockRun(id, 'me', 9e12, 8e12)))).toEqual(
          runs.map(() => true),
        );
        const found = await store.listRuns({
          tag: '',
          attributes: [{ key: 'empty', op: 'eq', value: '' }],
          limit: 9,
          offset: 3,
        });
        expect(found).toHaveLength(9);
        await Promise.all(runs.map(({ id }, n) => store.bufferSignal(id, n)));
        const taken = await Promise.all(runs.map(({ id }) => store.takeBufferedSignal(id)));
        expect(taken).toEqual(runs.map((_, n) => ({ payload: n })));
        for (const { id } of runs) await store.updateRun(id, { status: 'completed', updatedAt: new Date(0) });
        expect(await store.pruneTerminalRuns({ statuses: ['completed'], maxCount: 2 }, Date.now(), 7)).toBe(7);
        await fresh.drop();
      },
    );

    it('makes tables whose rows are stored dynamically, whatever the server’s default is', async () => {
      const rows = await sql(await db.open()).execute(
        'select table_name as name, create_options as options from information_schema.tables ' +
          "where table_schema = database() and table_name like 'durable%'",
      );
      expect(rows).toHaveLength(5);
      for (const { options } of rows) expect(String(options)).toMatch(/row_format=dynamic/i);
    });
  },
);

// A server that keeps no binary log takes any format; MySQL keeps one by default.
eachDatabase(
  KINDS.filter(({ system }) => system === 'mysql'),
  (kind) => {
    const STATEMENTS = "set session binlog_format = 'STATEMENT'";
    let db: TestDatabase;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      await db.ensureSchema();
    });
    afterAll(() => db.drop());

    it('writes, takes and prunes under a binary log of statements', async () => {
      const orm = await db.open(beginningWith(STATEMENTS));
      const [log] = await sql(orm).execute('select @@log_bin as kept');
      expect(Number(log?.kept)).toBe(1);
      const store = new MikroOrmStateStore(orm);
      const id = freshId();
      await store.createRun(aRun({ id, tags: ['a'], searchAttributes: { n: 1 } }));
      await store.updateRun(id, { searchAttributes: { n: 2 }, status: 'completed', updatedAt: new Date(0) });
      await store.saveCheckpoint(aCheckpoint({ runId: id, seq: 0 }));
      await store.bufferSignal(`child:${id}`, 1);
      expect(await store.takeBufferedSignal(`child:${id}`)).toEqual({ payload: 1 });
      expect(await store.listRuns({ attributes: [{ key: 'n', op: 'eq', value: 2 }] })).toHaveLength(1);
      expect(await store.pruneTerminalRuns({ statuses: ['completed'], maxAge: '1d' }, Date.now(), 10)).toBe(1);
      const other = aRun();
      await store.createRun(other);
      await store.deleteRun(other.id);
      expect(await store.listRuns({})).toEqual([]);
    });

    it('refuses a binary log of statements where the session itself reads what was committed last', async () => {
      const orm = await db.open(beginningWith(STATEMENTS, 'set session transaction isolation level read committed'));
      await expect(new MikroOrmStateStore(orm).createRun(aRun())).rejects.toMatchObject({
        code: 'DURABLE_UNSUPPORTED_SETTING',
        message: expect.stringContaining('set binlog_format = ROW'),
      });
    });
  },
);

eachDatabase(
  KINDS.filter(({ family }) => family === 'postgresql'),
  (kind) => {
    it.each(['LATIN1', 'SQL_ASCII'])('refuses a database whose encoding is %s', async (encoding) => {
      const home = await TestDatabase.create(kind);
      const name = `${home.dbName}_${encoding.toLowerCase()}`;
      const admin = await home.open();
      await sql(admin).execute(
        `create database ${name} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`,
      );
      const orm = await connect(kind.driver, { ...connection(kind, name), entities: [...ENTITIES] });
      const store = new MikroOrmStateStore(orm);
      for (const call of [() => store.ensureSchema(), () => store.getRun('r')]) {
        await expect(call()).rejects.toMatchObject({
          code: 'DURABLE_UNSUPPORTED_SETTING',
          message: expect.stringContaining("encoding 'UTF8'"),
        });
      }
      await orm.close(true);
      await sql(admin).execute(`drop database ${name} with (force)`);
      await home.drop();
    });
  },
);

/** Options under which every connection begins with these statements. */
function beginningWith(...statements: string[]): Options {
  type Raw = { query(text: string, done: (error: unknown) => void): void };
  const pool = {
    min: 0,
    max: 2,
    afterCreate: (raw: Raw, done: (error: unknown, raw: Raw) => void) => {
      const next = (error: unknown, rest: readonly string[]): void => {
        const [statement, ...others] = rest;
        if (error || statement === undefined) done(error, raw);
        else raw.query(statement, (failure) => next(failure, others));
      };
      next(null, statements);
    },
  };
  return { pool } as unknown as Options;
}
