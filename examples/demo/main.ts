import { parseArgs } from 'node:util';
// An application imports from 'durable-store-mikro-orm'.
import { ensureMikroOrmDurableSchema } from '../../lib';
import { runCrowd } from './crowd';
import { chooseDatabase, openDatabase } from './database';
import { FrontOffice } from './front-office';
import { Progress } from './progress';
import { recreateShopTables } from './shop';
import { tellStory } from './single';

const USAGE = `npm run demo                                  one order, one crash
npm run demo -- --workers 4 --runs 200        many orders, competing workers, random kills
npm run demo -- … --kills 40                  how many workers are killed (default: one for ten orders)

DATABASE_URL  postgresql://…, mysql://… (MariaDB too) or sqlite:<file>; default a temporary SQLite file`;

interface Arguments {
  help: boolean;
  crowd: boolean;
  workers: number;
  runs: number;
  kills: number;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      workers: { type: 'string' },
      runs: { type: 'string' },
      kills: { type: 'string' },
    },
  });
  const runs = count('runs', values.runs ?? '200', 1);
  return {
    help: values.help === true,
    crowd: values.workers !== undefined || values.runs !== undefined,
    workers: count('workers', values.workers ?? '4', 1),
    runs,
    kills: count('kills', values.kills ?? String(Math.max(2, Math.round(runs / 10))), 0),
  };
}

function count(name: string, text: string, least: number): number {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < least) throw new TypeError(`--${name}: expected a whole number from ${least}`);
  return n;
}

async function main(): Promise<boolean> {
  const args = readArguments();
  const progress = new Progress(process.stdout);
  if (args.help) {
    progress.print(USAGE);
    return true;
  }
  const database = chooseDatabase();
  progress.print(`Database: ${database.label}`);
  // Creates the database when the server does not have it.
  const orm = await openDatabase(database.url);
  let good = false;
  try {
    await ensureMikroOrmDurableSchema(orm);
    await recreateShopTables(orm);
    await new FrontOffice(orm).forgetEarlierOrders();
    progress.print('');
    good = args.crowd
      ? await runCrowd(database, orm, args, progress)
      : await tellStory(database, orm, (line) => progress.print(line));
  } finally {
    await orm.close(true);
    if (good) database.remove();
    else progress.print(`The tables are left for you to look at: ${database.label}`);
  }
  return good;
}

main().then(
  (good) => {
    process.exitCode = good ? 0 : 1;
  },
  (error) => {
    console.error(error instanceof TypeError ? error.message : error);
    process.exitCode = 1;
  },
);
