import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const DEBIAN = '/usr/lib/postgresql';
const PROGRAMS = ['postgres', 'initdb', 'pg_ctl', 'pg_basebackup'];

/**
 * The folder of an installed PostgreSQL's programs, of the newest first; the one that comes as a dev dependency cannot copy a
 * server.
 *
 * @throws Error when there is none
 */
export function postgresPrograms(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const places = [
    ...versions.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  const found = places.find((place) => PROGRAMS.every((program) => existsSync(join(place, program))));
  if (!found) {
    throw new Error(
      `no PostgreSQL with ${PROGRAMS.join(', ')} in ${DEBIAN}/*/bin or on the path. To have it: apt-get install postgresql`,
    );
  }
  return found;
}

/** How a program is run as a user that PostgreSQL accepts: it refuses to run as root. */
export function asServerUser(command: readonly [program: string, ...args: string[]]): [string, ...string[]] {
  if (process.getuid?.() !== 0) return [...command];
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', ...command];
}
