import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Unpack Debian's packages of a MySQL server into `directory`, unless they are there. Nothing is installed: the server runs
 * from there, with the loader and the libraries beside it. They come from the mirror this machine is configured for.
 *
 * @returns the folder with `usr/sbin/mysqld`
 * @throws Error that says why there are none here
 */
export async function unpackMySql(directory: string): Promise<string> {
  const root = join(directory, 'root');
  if (existsSync(root)) return root;
  const work = join(directory, `unpacking-${process.pid}`);
  mkdirSync(join(work, 'root'), { recursive: true });
  try {
    for (const file of await download(join(work, 'apt'))) await run('dpkg', ['-x', file, join(work, 'root')]);
    // Whoever else unpacked at the same time has the same files.
    if (!existsSync(root)) renameSync(join(work, 'root'), root);
    return root;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** How a program among the unpacked packages is run: by its own loader, on its own libraries. */
export function commandOf(root: string): [program: string, ...args: string[]] {
  const libraries = join(root, LIBRARIES);
  const path = `${libraries}:${join(root, 'lib/x86_64-linux-gnu')}`;
  return [join(libraries, 'ld-linux-x86-64.so.2'), '--library-path', path, join(root, 'usr/sbin/mysqld')];
}

/** Download the server and all it needs. Only Debian's unstable suite has MySQL; apt is told to know no other. */
async function download(apt: string): Promise<string[]> {
  const mirror = debianMirror();
  if (process.platform !== 'linux' || process.arch !== 'x64' || !mirror) {
    throw new Error('no server answers, and its packages are for Debian on x64, with a mirror that apt knows');
  }
  const archives = join(apt, 'cache/archives');
  for (const folder of [join(apt, 'lists/partial'), join(archives, 'partial')]) mkdirSync(folder, { recursive: true });
  const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
  writeFileSync(join(apt, 'status'), '');
  writeFileSync(join(apt, 'sources.list'), `deb ${signed}${mirror} sid main\n`);
  const settings = {
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': join(apt, 'cache'),
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Debug::NoLocking': 'true',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await run('apt-get', ['-qq', ...options, 'update']);
  await run('apt-get', ['-qq', '-y', ...options, '--download-only', 'install', 'mysql-server-core']);
  return readdirSync(archives)
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(archives, name));
}

/** The mirror of Debian that this machine's apt is configured for. */
function debianMirror(): string | undefined {
  try {
    const args = ['indextargets', '--format', '$(REPO_URI)', 'Identifier: Packages'];
    const known = execFileSync('apt-get', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return known.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  } catch {
    return undefined;
  }
}
