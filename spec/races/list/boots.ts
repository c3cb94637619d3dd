import { ENTITIES, ensureMikroOrmDurableSchema, planMikroOrmDurableSchema } from '../../../lib';
import { connect, connection } from '../../support/databases';
import type { Race } from '../race';

/** All calls ensure the schema of one empty database; each process has opened it before the start. */
export const concurrentBoots: Race<{ readonly dbName: string }, number> = {
  name: 'boots',

  async prepare(arena) {
    const { dbName } = await arena.emptyDatabase();
    return { dbName };
  },

  arrive: async (contender, { dbName }) => (await contender.visit(dbName)).isConnected(),

  async call(contender, { dbName }) {
    return (await ensureMikroOrmDurableSchema(await contender.visit(dbName))).executed.length;
  },

  async judge(arena, { dbName }, calls) {
    const { kind } = arena.db;
    const orm = await connect(kind.driver, { ...connection(kind, dbName), entities: [...ENTITIES] });
    const { statements } = await planMikroOrmDurableSchema(orm);
    await orm.close(true);
    arena.note('boots that created', calls.filter(({ answer }) => answer > 0).length);
    return statements.map((statement) => `still missing: ${statement}`);
  },
};
