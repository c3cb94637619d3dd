/**
 * Puts known defects back into a copy of the code, one at a time, and asks the suite about each: it must go red.
 * `npm run mutations`, or `npm run mutations -- <text in the defect>`.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { besideServers } from '../support/command';
import { MUTATIONS, type Mutation } from './mutations';
import { original } from './original';

const ROOT = join(__dirname, '../..');
const COPY = join(ROOT, '.tmp', `mutant-${process.pid}`);
const FAIL_FAST = join(COPY, 'spec/mutations/fail-fast.ts');
const COPIED = ['lib', 'schemas', 'spec', 'examples', 'docs', 'package.json', 'tsconfig.json', 'jest.config.js'];

interface Verdict {
  readonly mutation: Mutation;
  /** The first test that failed; `undefined`: the defect went unnoticed. */
  readonly caughtBy: string | undefined;
}

async function main(): Promise<void> {
  const wanted = process.argv[2] ?? '';
  const chosen = MUTATIONS.filter(({ defect }) => defect.includes(wanted));
  for (const mutation of chosen) original(mutation);
  prepare();
  const verdicts = chosen.map((mutation, position) => {
    const verdict = tryOut(mutation);
    const mark = verdict.caughtBy ? 'caught' : 'MISSED';
    process.stdout.write(
      `${position + 1}/${chosen.length} ${mark}  ${mutation.defect}\n    ${verdict.caughtBy ?? ''}\n`,
    );
    return verdict;
  });
  rmSync(COPY, { recursive: true });
  const missed = verdicts.filter(({ caughtBy }) => !caughtBy).length;
  process.stdout.write(`\n${verdicts.length - missed} caught, ${missed} missed\n`);
  process.exitCode = missed === 0 ? 0 : 1;
}

function prepare(): void {
  mkdirSync(COPY, { recursive: true });
  for (const entry of COPIED) cpSync(join(ROOT, entry), join(COPY, entry), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(COPY, 'node_modules'));
}

function tryOut(mutation: Mutation): Verdict {
  const path = join(COPY, mutation.file);
  const text = original(mutation);
  writeFileSync(
    path,
    text.replace(mutation.find, () => mutation.put),
  );
  const caughtBy = firstFailure(mutation);
  writeFileSync(path, text);
  return { mutation, caughtBy };
}

function firstFailure({ spec, on }: Mutation): string | undefined {
  const args = [
    'jest',
    '--rootDir',
    COPY,
    '--env',
    FAIL_FAST,
    '--bail',
    '--silent',
    '--ci',
    ...(on ? ['-t', on] : []),
    spec,
  ];
  const { status, stderr } = spawnSync('npx', args, { cwd: COPY, encoding: 'utf8', env: { ...process.env, CI: '' } });
  if (status === 0) return undefined;
  const failure = /● (.*)/.exec(stderr)?.[1];
  if (!failure || failure.includes('failed to run')) throw new Error(`${spec} did not start:\n${stderr}`);
  return failure;
}

// Once for all: each run of the suite finds them by the environment.
void besideServers(main);
