/** A NestJS application with retention by number: `pruning-application <driver> <database>`. Says "up", and after enough sweeps "swept". */
import 'reflect-metadata';
import { DurableModule } from '@dudousxd/nestjs-durable';
import { InMemoryTransport } from '@dudousxd/nestjs-durable-core';
import { NestFactory } from '@nestjs/core';
import { ENTITIES, MikroOrmStateStore } from '../../lib';
import { connect, connection, KINDS } from './databases';

const SWEEPS = 100;

class CountingStore extends MikroOrmStateStore {
  private sweeps = 0;

  override async pruneTerminalRuns(...args: Parameters<MikroOrmStateStore['pruneTerminalRuns']>): Promise<number> {
    const pruned = await super.pruneTerminalRuns(...args);
    this.sweeps += 1;
    if (this.sweeps === SWEEPS) process.stdout.write('swept\n');
    return pruned;
  }
}

async function main([kindName, dbName]: string[]): Promise<void> {
  const kind = KINDS.find(({ name }) => name === kindName);
  if (!kind || !dbName) throw new Error('usage: pruning-application <kind> <database>');
  const orm = await connect(kind.driver, { ...connection(kind, dbName), entities: [...ENTITIES] });
  const retention = { policies: [{ statuses: ['completed' as const], maxCount: 100 }], sweepInterval: 10 };
  const durable = DurableModule.forRoot({
    store: new CountingStore(orm),
    transport: new InMemoryTransport(),
    retention,
  });
  const app = await NestFactory.createApplicationContext({ module: class {}, imports: [durable] }, { logger: false });
  process.stdout.write('up\n');
  process.on('SIGTERM', () => {
    app
      .close()
      .then(() => orm.close(true))
      .then(() => process.exit(0));
  });
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
