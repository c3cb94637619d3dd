/**
 * Parents and children shared by several processes, on every database that can be had, or the scenarios of the suite again
 * and again. Ends with 1 when a run is lost or anything was done twice that must not be. See {@link USAGE}.
 */
import { besideServers, runCommand } from '../support/command';
import { readOptions, USAGE } from './options';

runCommand(readOptions, USAGE, (options) =>
  besideServers(async () => {
    // Which databases there are is known from here on.
    const { playAll } = require('./play-all') as typeof import('./play-all');
    // Timers of the engine do not keep a process alive, and a scenario may wait for nothing else.
    const alive = setInterval(() => undefined, 60_000);
    process.exitCode = (await playAll(options)) ? 0 : 1;
    clearInterval(alive);
  }),
);
