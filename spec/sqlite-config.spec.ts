import { MikroOrmStateStore, sqliteConfig } from '../lib';
import { eachDatabase, KINDS, sql, TestDatabase } from './support/databases';
import { aRun } from './support/fixtures';

eachDatabase(
  KINDS.filter(({ family }) => family === 'sqlite'),
  (kind) => {
    it.each([
      [sqliteConfig(), { journal_mode: 'wal', synchronous: 2, timeout: 1000 }],
      [
        sqliteConfig({ synchronous: 'normal', busyTimeoutMs: 50 }),
        { journal_mode: 'wal', synchronous: 1, timeout: 50 },
      ],
    ])('tunes every connection (%#)', async (config, expected) => {
      const db = await TestDatabase.create(kind);
      const orm = await db.openReady(config);
      const seen: Record<string, unknown> = {};
      for (const pragma of ['journal_mode', 'synchronous', 'busy_timeout']) {
        Object.assign(seen, ...(await sql(orm).execute(`pragma ${pragma}`)));
      }
      expect(seen).toEqual(expected);
      const store = new MikroOrmStateStore(orm);
      const run = aRun();
      await store.createRun(run);
      expect(await store.getRun(run.id)).toMatchObject(run);
      await db.drop();
    });
  },
);

it.each([{ synchronous: 'off' as never }, { busyTimeoutMs: -1 }, { busyTimeoutMs: 0.5 }])('refuses %p', (options) => {
  expect(() => sqliteConfig(options)).toThrow(TypeError);
});
