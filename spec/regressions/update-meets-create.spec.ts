import { MikroOrmStateStore } from '../../lib';
import { eachDatabase, KINDS, TestDatabase } from '../support/databases';
import { aRun } from '../support/fixtures';

const ROUNDS = 150;

// Where a server may count changed rows, an update that hit none looks whether the run exists: it may do so only since.
eachDatabase(
  KINDS.filter(({ family }) => family === 'mysql'),
  (kind) => {
    let db: TestDatabase;

    beforeAll(async () => {
      db = await TestDatabase.create(kind);
    });
    afterAll(() => db.drop());

    it.each([{}, { searchAttributes: { a: 1 } }])(
      'a patch that was accepted is there, though the run came while it was made (%j)',
      async (extra) => {
        const [creator, patcher] = [await db.store(), new MikroOrmStateStore(await db.open())];
        const lost: string[] = [];
        for (let round = 0; round < ROUNDS; round += 1) {
          const run = aRun();
          const patch = patcher.updateRun(run.id, { origin: 'patched', ...extra }).then(
            () => true,
            () => false,
          );
          await creator.createRun(run);
          if ((await patch) && (await creator.getRun(run.id))?.origin !== 'patched') lost.push(run.id);
        }
        expect(lost).toEqual([]);
      },
    );
  },
);
