import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { MikroOrmStateStore } from '../lib';
import { ContractModel } from './model/contract-model';
import { play, sequence } from './model/play';
import { RANGES } from './model/values';
import { eachDatabase, KINDS, TestDatabase } from './support/databases';

const { DURABLE_MODEL_RUNS, DURABLE_MODEL_SEED, DURABLE_MODEL_PATH } = process.env;
const RUNS = Number(DURABLE_MODEL_RUNS ?? 60);

/** The seed is in the name of each test, and a failure adds the path of its smallest sequence; given back, they replay it. */
const SEED = Number(DURABLE_MODEL_SEED ?? randomInt(2 ** 31));
const replay = { seed: SEED, ...(DURABLE_MODEL_PATH ? { path: DURABLE_MODEL_PATH } : {}) };

eachDatabase(KINDS, (kind) => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await TestDatabase.create(kind);
  });
  afterAll(() => db.drop());

  it(
    `answers ${RUNS} random sequences of calls as the contract says (seed ${SEED})`,
    async () => {
      const orm = await db.openReady();
      const orms = kind.driver === 'better-sqlite' ? [orm] : [orm, await db.open()];
      const property = fc.asyncProperty(sequence, async (steps) => {
        await db.clear(orm);
        // New ones: a store remembers which leases it has won.
        const stores = orms.map((one) => new MikroOrmStateStore(one));
        await play(stores, new ContractModel(RANGES[kind.family]), steps);
      });
      await fc.assert(property, { numRuns: RUNS, ...replay });
    },
    300_000 + RUNS * 5_000,
  );
});
