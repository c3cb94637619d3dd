/**
 * The window between the end of a run and the release of its lease: how often two engines on a database some way off
 * execute a run again, without the store's guards and with them. `npm run lease-window`, or with options: see {@link USAGE}.
 */
import globalSetup from '../support/global-setup';
import globalTeardown from '../support/global-teardown';
import { readOptions, USAGE, type WindowOptions } from './options';

async function main(options: WindowOptions): Promise<void> {
  await globalSetup();
  try {
    // Which databases there are is known from here on.
    const { measure } = require('./measure') as typeof import('./measure');
    await measure(options);
  } finally {
    await globalTeardown();
  }
}

let chosen: WindowOptions | undefined;
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
