/**
 * The window between the end of a run and the release of its lease: how often two engines on a database some way off
 * execute a run again, without the store's guards and with them. `npm run lease-window`, or with options: see {@link USAGE}.
 */
import { besideServers, runCommand } from '../support/command';
import { readOptions, USAGE } from './options';

runCommand(readOptions, USAGE, (options) =>
  besideServers(async () => {
    // Which databases there are is known from here on.
    const { measure } = require('./measure') as typeof import('./measure');
    await measure(options);
  }),
);
