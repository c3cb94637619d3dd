import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

/** What a finished child process left behind. */
export interface Finished {
  readonly code: number | null;
  readonly output: string;
}

const ROOT = join(__dirname, '../..');

/** Start a TypeScript file of this repository in a process of its own. */
export function startTs(file: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', join(ROOT, file), ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Everything a child prints, and how it ends. */
export function finished(child: ChildProcess): Promise<Finished> {
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    output += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}
