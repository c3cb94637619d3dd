/** A process in another time zone: it writes its instants, or reads what the others wrote. */
import { ENTITIES, MikroOrmStateStore } from '../../lib';
import { connect, connection, KINDS } from '../support/databases';
import { aRun } from '../support/fixtures';

/** Around the hours that New York and Berlin have twice and not at all. */
export const INSTANTS = [
  '2026-11-01T05:30:00.123Z',
  '2026-11-01T06:30:00.123Z',
  '2026-03-08T07:00:00.001Z',
  '2026-10-25T00:59:59.999Z',
];

async function main([kindName, dbName, verb]: string[]): Promise<void> {
  const kind = KINDS.find(({ name }) => name === kindName);
  if (!kind || !dbName) throw new Error('usage: zones <kind> <database> write|read');
  const orm = await connect(kind.driver, { ...connection(kind, dbName), entities: [...ENTITIES] });
  const store = new MikroOrmStateStore(orm);
  const zone = process.env.TZ as string;
  for (const [n, iso] of INSTANTS.entries()) {
    if (verb !== 'write') break;
    const [at, ms] = [new Date(iso), Date.parse(iso)];
    const run = aRun({ id: `${zone}-${n}`, status: 'suspended', createdAt: at, updatedAt: at, wakeAt: ms });
    await store.createRun(run);
    await store.tryLockRun(run.id, zone, ms, ms);
  }
  if (verb === 'read') {
    const rows = (await store.listRuns({})).map(({ id, createdAt, updatedAt, wakeAt, lockedUntil }) =>
      [id, createdAt.toISOString(), updatedAt.toISOString(), wakeAt, lockedUntil].join(' '),
    );
    const due = INSTANTS.map(async (iso) => (await store.listDueTimers(Date.parse(iso))).length);
    process.stdout.write(JSON.stringify({ rows: rows.sort(), due: await Promise.all(due) }));
  }
  await orm.close(true);
}

if (require.main === module) {
  main(process.argv.slice(2)).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
}
