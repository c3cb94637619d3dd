import { ensureMikroOrmDurableSchema, MikroOrmStateStore } from '../../lib';
import { eachDatabase, KINDS, sql, TestDatabase } from '../support/databases';
import { aCheckpoint, aRun, freshId } from '../support/fixtures';

/** What a driver that parses JSON itself cannot tell apart from text, or from nothing. */
const PAYLOADS: [string, unknown][] = [
  ...[null, 0, false, '', 'text', '"quoted"', '5', [], {}, { a: [1, 2.5, { b: null }] }].map(
    (payload): [string, unknown] => [JSON.stringify(payload), payload],
  ),
  ['100,000 characters', 'x'.repeat(100_000)],
];

const COLUMNS: Record<string, string[]> = {
  durable_workflow_runs: ['input', 'output', 'error', 'search_attributes'],
  durable_step_checkpoints: ['input', 'output', 'error', 'events'],
  durable_buffered_signals: ['payload'],
};

// Elsewhere payloads are JSON or text of the database's own in any case.
eachDatabase(
  KINDS.filter(({ family }) => family === 'mysql'),
  (kind) => {
    let db: TestDatabase;
    let store: MikroOrmStateStore;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
      const orm = await db.openReady();
      for (const [table, columns] of Object.entries(COLUMNS)) {
        await sql(orm).execute(
          `alter table ${table} ${columns.map((column) => `modify ${column} json null`).join(', ')}`,
        );
      }
      const { executed, notes } = await ensureMikroOrmDurableSchema(orm);
      expect(executed).toEqual([]);
      // A MariaDB keeps JSON as text, with a check.
      expect(notes.length).toBe(kind.system === 'mysql' ? Object.values(COLUMNS).flat().length : 0);
      store = new MikroOrmStateStore(orm);
    });
    afterAll(() => db.drop());

    it.each(PAYLOADS)('reads payloads that another hand made `json`: %s', async (_, payload) => {
      const run = aRun({ input: payload, output: payload, searchAttributes: { n: 1 } });
      await store.createRun(run);
      await store.updateRun(run.id, { output: payload });
      const checkpoint = aCheckpoint({ runId: run.id, seq: 0, output: payload });
      await store.saveCheckpoint(checkpoint);
      const token = freshId('token');
      await store.bufferSignal(token, payload);
      expect(await store.getRun(run.id)).toMatchObject({
        input: payload,
        output: payload,
        searchAttributes: { n: 1 },
      });
      expect((await store.listRuns({ limit: 1000 })).map(({ id }) => id)).toContain(run.id);
      expect(await store.listCheckpoints(run.id)).toEqual([checkpoint]);
      expect(await store.takeBufferedSignal(token)).toEqual({ payload });
    });
  },
);
