/**
 * Calls that compete from several processes, on every database that can be had. Ends with 1 when anything was violated.
 * `npm run races`, or with options: see {@link USAGE}.
 */
import { besideServers, runCommand } from '../support/command';
import { readOptions, USAGE } from './options';

runCommand(readOptions, USAGE, (options) =>
  besideServers(async () => {
    // Which databases there are is known from here on.
    const { playAll } = require('./play-all') as typeof import('./play-all');
    process.exitCode = (await playAll(options)) ? 0 : 1;
  }),
);
