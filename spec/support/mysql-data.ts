import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { commandOf, unpackMySql } from './mysql-packages';

const run = promisify(execFile);

/** What is kept from one start to the next: the packages, and a data directory that nothing has been written to. */
const KEPT = join(process.cwd(), '.tmp', 'mysql');

/**
 * Make `directory` that of a MySQL which has never run; the packages are downloaded where that was not done yet.
 *
 * @returns the command that starts it on a port of this host
 * @throws Error that says why there are no packages here
 */
export async function freshMySql(directory: string, port: number): Promise<[program: string, ...args: string[]]> {
  const root = await unpackMySql(KEPT);
  const data = join(directory, 'data');
  cpSync(await initialised(root), data, { recursive: true });
  // It holds the identity of the server, of which there may be several at a time.
  rmSync(join(data, 'auto.cnf'), { force: true });
  mkdirSync(join(directory, 'tmp'));
  const socket = `--socket=${join(directory, 'socket')}`;
  return [...commandWith(root, directory), `--port=${port}`, '--bind-address=127.0.0.1', '--mysqlx=0', socket];
}

/** A data directory as it is before the first start, made once: that takes longer than a copy and a start. */
async function initialised(root: string): Promise<string> {
  const pristine = join(KEPT, 'data');
  if (existsSync(pristine)) return pristine;
  const directory = join(KEPT, `initialising-${process.pid}`);
  mkdirSync(join(directory, 'tmp'), { recursive: true });
  try {
    const [program, ...args] = commandWith(root, directory);
    await run(program, [...args, '--initialize-insecure']);
    if (!existsSync(pristine)) renameSync(join(directory, 'data'), pristine);
    return pristine;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The server with its files where they are unpacked and its data in `directory`. */
function commandWith(root: string, directory: string): [program: string, ...args: string[]] {
  const share = join(root, 'usr/share/mysql');
  return [
    ...commandOf(root),
    '--no-defaults',
    // It refuses to run as root unless it is told to.
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--basedir=${join(root, 'usr')}`,
    `--datadir=${join(directory, 'data')}`,
    `--tmpdir=${join(directory, 'tmp')}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
    '--secure-file-priv=NULL',
  ];
}
