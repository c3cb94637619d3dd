/** A process that boots: it opens its own ORM, ensures the schema and says how many statements that took. */
import { ENTITIES, ensureMikroOrmDurableSchema } from '../../lib';
import { connect, connection, KINDS } from './databases';

async function boot([kindName, dbName]: string[]): Promise<void> {
  const kind = KINDS.find(({ name }) => name === kindName);
  if (!kind || !dbName) throw new Error('usage: boot <kind> <database>');
  const orm = await connect(kind.driver, { ...connection(kind, dbName), entities: [...ENTITIES] });
  const { executed } = await ensureMikroOrmDurableSchema(orm);
  process.stdout.write(`executed ${executed.length}\n`);
  await orm.close(true);
}

boot(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
