import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Unpack the packages that `download` gets into `directory`, unless they are there. Nothing is installed. `download` is given
 * a folder for what apt keeps, and removed with it.
 *
 * @returns the folder they are in, as `/` would be
 */
export async function unpackOnce(
  directory: string,
  download: (apt: string) => Promise<readonly string[]>,
): Promise<string> {
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

/** Options that let apt download into the folder `apt`, without the rights and locks that an installation needs. */
export function aptOptions(apt: string, settings: Readonly<Record<string, string>> = {}): string[] {
  const all = {
    'Dir::Cache': join(apt, 'cache'),
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': '',
    'Debug::NoLocking': 'true',
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Download a package, and those it needs that are not installed. `options` are those of {@link aptOptions}. */
export async function downloadPackage(apt: string, name: string, options: readonly string[]): Promise<string[]> {
  const archives = join(apt, 'cache/archives');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  await run('apt-get', ['-qq', '-y', ...options, '--download-only', 'install', name]);
  return readdirSync(archives)
    .filter((file) => file.endsWith('.deb'))
    .map((file) => join(archives, file));
}
