/**
 * Calls that compete from several processes, on every database that can be had. Ends with 1 when anything was violated.
 * `npm run races`, or with options: see {@link USAGE}.
 */
import globalSetup from '../support/global-setup';
import globalTeardown from '../support/global-teardown';
import { type RaceOptions, readOptions, USAGE } from './options';

async function main(options: RaceOptions): Promise<void> {
  await globalSetup();
  try {
    // Which databases there are is known from here on.
    const { playAll } = require('./play-all') as typeof import('./play-all');
    process.exitCode = (await playAll(options)) ? 0 : 1;
  } finally {
    await globalTeardown();
  }
}

let chosen: RaceOptions | undefined;
try {
  chosen = readOptions(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n\n${USAGE}`);
  process.exitCode = 1;
}
if (chosen) {
  main(chosen).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
