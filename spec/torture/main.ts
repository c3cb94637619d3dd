/**
 * Engine processes on one database under kills, stops, cut connections and restarts of the server, and a verdict from ledgers
 * outside of the store: `npm run torture -- --db postgresql --minutes 30`. Ends with 0 when every promise held.
 */
import { writeFileSync } from 'node:fs';
import { Progress } from '../../examples/demo/progress';
import { violationsOf } from './judge';
import { readOptions, USAGE } from './options';
import { markdownReport, textReport } from './report';
import { torture } from './torture';

const PROGRESS_EVERY_MS = 10_000;

async function main(): Promise<boolean> {
  const progress = new Progress(process.stdout, PROGRESS_EVERY_MS);
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    progress.print(USAGE);
    return true;
  }
  const { db, minutes, until, seed } = options;
  const wanted = Object.entries(until ?? {}).map(([what, n]) => `${n} ${what}`);
  const end = until ? `until there were ${wanted.join(', ')}` : `for ${minutes} minutes`;
  progress.print(`Torture of ${db} ${end}, seed ${seed}`);
  const outcome = await torture(options, progress);
  progress.print(`\n${textReport(outcome)}`);
  if (options.report) writeFileSync(options.report, markdownReport(outcome));
  return violationsOf(outcome.verdict) === 0;
}

main().then(
  (good) => process.exit(good ? 0 : 1),
  (error) => {
    console.error(error instanceof TypeError && error.message.startsWith('--') ? error.message : error);
    process.exit(2);
  },
);
