import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { type Finished, finished } from './child';

const ROOT = join(__dirname, '../..');
const PACKAGE = 'durable-store-mikro-orm';
const run = promisify(execFile);

/** The package as npm would publish it. */
export interface Packed {
  /** Paths inside the tarball. */
  readonly files: readonly string[];
  readonly tarball: string;
}

/** Build into `directory`, leaving the repository alone, and pack what was built with npm. */
export async function pack(directory: string): Promise<Packed> {
  const stage = join(directory, 'stage');
  const outDir = join(stage, 'dist');
  const tsc = require.resolve('typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', outDir]);
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) {
    if (existsSync(join(ROOT, file))) cpSync(join(ROOT, file), join(stage, file));
  }
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], {
    cwd: stage,
  });
  const [report] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  return {
    files: report.files.map(({ path }) => path).sort(),
    tarball: join(directory, report.filename),
  };
}

/** A project outside this repository that has our tarball installed, and of everything else only what it names. */
export class Consumer {
  private constructor(readonly directory: string) {}

  static async create(tarball: string, dependencies: readonly string[], type?: 'module'): Promise<Consumer> {
    const directory = realpathSync(mkdtempSync(join(tmpdir(), 'consumer-')));
    const ours = join(directory, 'node_modules', PACKAGE);
    mkdirSync(ours, { recursive: true });
    await run('tar', ['-xzf', tarball, '-C', ours, '--strip-components', '1']);
    for (const dependency of dependencies) {
      const link = join(directory, 'node_modules', dependency);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(ROOT, 'node_modules', dependency), link, 'junction');
    }
    const consumer = new Consumer(directory);
    consumer.write('package.json', JSON.stringify({ name: 'consumer', private: true, ...(type ? { type } : {}) }));
    return consumer;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text);
  }

  /** Start a file with plain Node, or with tsx when it is TypeScript. */
  start(file: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
    const loader = /\.[cm]?ts$/.test(file) ? ['--import', pathToFileURL(require.resolve('tsx')).href] : [];
    return spawn(process.execPath, [...loader, file], {
      cwd: this.directory,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Run a file to its end. */
  run(file: string, env: NodeJS.ProcessEnv = {}): Promise<Finished> {
    return finished(this.start(file, env));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
