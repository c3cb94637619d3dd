import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Stops watching. */
export type Unwatch = () => void;

/**
 * Be told of every write to the file of a SQLite database, its log and its journal, by this process or another. Keeps no
 * process alive. The folder is watched, because the log comes and goes.
 *
 * @throws what the system says where it cannot watch
 */
export function watchFile(file: string, written: () => void, failed: (error: Error) => void): Unwatch {
  const name = basename(file);
  const watcher = watch(dirname(file), { persistent: false }, (_, changed) => {
    // Some systems do not say what has changed.
    if (changed === null || changed.startsWith(name)) written();
  });
  watcher.on('error', failed);
  return () => watcher.close();
}
