import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { aptOptions, downloadPackage, unpackOnce } from './debian-packages';

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
export function unpackMySql(directory: string): Promise<string> {
  return unpackOnce(directory, download);
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
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
  writeFileSync(join(apt, 'status'), '');
  writeFileSync(join(apt, 'sources.list'), `deb ${signed}${mirror} sid main\n`);
  const options = aptOptions(apt, {
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Acquire::Languages': 'none',
  });
  await run('apt-get', ['-qq', ...options, 'update']);
  return downloadPackage(apt, 'mysql-server-core', options);
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
