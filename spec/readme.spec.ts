import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ts from 'typescript';
import { durableManagedTables, ENTITIES } from '../lib';
import { finished } from './support/child';
import { Consumer, type Packed, pack } from './support/consumer';
import { connection, KINDS, sql, TestDatabase } from './support/databases';
import { type Block, block, blocksOf } from './support/pages';

const ROOT = join(__dirname, '..');
const PAGES = ['README.md', 'CHANGELOG.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith('.md'),
);

const blocks = PAGES.flatMap(blocksOf);

/** The packages an `npm install` line names, without our own. */
function installed(page: string, containing: string): string[] {
  const line = readFileSync(join(ROOT, page), 'utf8')
    .split('\n')
    .find((candidate) => candidate.includes('npm install ') && candidate.includes(containing));
  const words = (/npm install ([^`]+)/.exec(line ?? '')?.[1] ?? '').trim().split(' ');
  return words.map((word) => word.replace(/(?<=.)@.*$/, '')).filter((name) => name !== 'durable-store-mikro-orm');
}

describe('every page', () => {
  it('is short where it must be, and names no machine', () => {
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8').trimEnd().split('\n').length).toBeLessThan(120);
    for (const page of PAGES) expect(readFileSync(join(ROOT, page), 'utf8')).not.toMatch(/\/(work|home|Users)\//);
  });

  it('gives no engine an instance id, which another process could have as well', () => {
    const folder = join(ROOT, 'examples');
    const examples = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    expect(examples).not.toEqual([]);
    const texts = examples.map((name) => ({
      page: `examples/${name}`,
      text: readFileSync(join(folder, name), 'utf8'),
    }));
    const named = [...blocks, ...texts].filter(({ text }) => text.includes('instanceId')).map(({ page }) => page);
    expect(named).toEqual([]);
  });

  it('links only to what is there', () => {
    for (const page of PAGES) {
      const text = readFileSync(join(ROOT, page), 'utf8');
      for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target as string)) continue;
        const [path, anchor] = (target as string).split('#') as [string, string | undefined];
        const linked = path === '' ? join(ROOT, page) : join(ROOT, page, '..', path);
        expect({ page, target, exists: existsSync(linked) }).toEqual({ page, target, exists: true });
        if (anchor === undefined) continue;
        const headings = readFileSync(linked, 'utf8').matchAll(/^#+ (.+)$/gm);
        const anchors = [...headings].map(([, heading]) =>
          (heading as string)
            .toLowerCase()
            .replace(/[^\w\- ]/g, '')
            .replaceAll(' ', '-'),
        );
        expect({ page, target, anchors }).toMatchObject({ anchors: expect.arrayContaining([anchor]) });
      }
    }
  });

  it('names every table, column and index of the schema, and no other', () => {
    const text = readFileSync(join(ROOT, 'docs/schema.md'), 'utf8');
    const named = new Set([...text.matchAll(/`([a-z][a-z_]+)`/g)].map(([, name]) => name as string));
    const metas = ENTITIES.map((entity) => entity.init().meta);
    const indexes = metas.flatMap(({ indexes, uniques }) => [...indexes, ...uniques].map(({ name }) => name as string));
    expect([...named].filter((name) => /^durable_.*_(idx|unique)$/.test(name)).sort()).toEqual(indexes.sort());
    expect([...named].filter((name) => /^durable_(?!.*_(idx|unique)$)/.test(name)).sort()).toEqual(
      durableManagedTables().sort(),
    );
    for (const meta of metas) {
      const section = text.split(`## \`${meta.tableName}\``)[1]?.split('\n## ')[0] ?? '';
      const documented = [...section.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|.*\|.*\|$/gm)]
        .flatMap(([, cell]) => [...(cell as string).matchAll(/`(\w+)`/g)].map(([, column]) => column as string))
        .filter((name) => !name.startsWith('durable_'));
      const columns = Object.values(meta.properties).map(({ fieldNames }) => fieldNames[0] as string);
      expect({ table: meta.tableName, columns: documented.sort() }).toEqual({
        table: meta.tableName,
        columns: columns.sort(),
      });
    }
  });

  it('lists every error code and nothing else as one', () => {
    const codes = [...readFileSync(join(ROOT, 'lib/errors.ts'), 'utf8').matchAll(/^ {2}\| '(DURABLE_\w+)'/gm)];
    const text = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
    const listed = new Set([...text.matchAll(/`(DURABLE_\w+)`/g)].map(([, code]) => code));
    expect([...listed].sort()).toEqual(codes.map(([, code]) => code).sort());
  });

  it('has TypeScript that compiles in a strict project', () => {
    const checked = blocks.filter(({ language }) => language === 'ts');
    expect(checked.length).toBeGreaterThan(8);
    expect(problemsIn(checked)).toEqual([]);
  });
});

/** Names that fragments may use without saying where they come from. */
const PRELUDE = `
declare global {
  const orm: import('@mikro-orm/core').MikroORM;
  const em: import('@mikro-orm/core').EntityManager;
  const store: import('durable-store-mikro-orm').MikroOrmStateStore;
  const engine: import('@dudousxd/nestjs-durable-core').WorkflowEngine;
}
export {};
`;

function problemsIn(checked: readonly Block[]): string[] {
  const folder = join(ROOT, 'spec', 'pages');
  const sources = new Map(
    checked.map(({ page, line, text }) => [join(folder, `${page.replaceAll('/', '-')}-${line}.mts`), text]),
  );
  sources.set(join(folder, 'prelude.mts'), PRELUDE);
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: ['-'] }, ts.sys, ROOT);
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const text = sources.get(name);
    return text === undefined
      ? getSourceFile(name, languageVersion, ...rest)
      : ts.createSourceFile(name, text, languageVersion);
  };
  const program = ts.createProgram(
    [...sources.keys()],
    { ...options, baseUrl: ROOT, paths: { 'durable-store-mikro-orm': ['./lib/index.ts'] } },
    host,
  );
  return [...sources.keys()].flatMap((name) => {
    const file = program.getSourceFile(name);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ messageText }) => `${name.slice(folder.length + 1)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  });
}

describe('the examples, run from a project that has what they say to install', () => {
  let directory: string;
  let packed: Packed;
  const consumers: Consumer[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'pages-'));
    packed = await pack(directory);
  });

  afterAll(() => {
    for (const consumer of consumers) consumer.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  async function consumer(dependencies: readonly string[]): Promise<Consumer> {
    const created = await Consumer.create(packed.tarball, dependencies, 'module');
    consumers.push(created);
    return created;
  }

  it('runs the first one, twice', async () => {
    const project = await consumer(installed('README.md', 'better-sqlite'));
    project.write('main.mjs', block('README.md', 'js', 'MikroORM.init'));
    const first = await project.run('main.mjs');
    expect(first).toEqual({ code: 0, output: 'completed Hello, Ada!\n' });
    expect(await project.run('main.mjs')).toEqual(first);
  });

  it('drives a sleeping run with the loop of the plain service', async () => {
    const project = await consumer(installed('README.md', 'better-sqlite'));
    project.write('drive.ts', block('README.md', 'ts', 'export async function drive'));
    project.write(
      'main.ts',
      `
import { WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import { MikroORM } from '@mikro-orm/better-sqlite';
import { ENTITIES, MikroOrmStateStore } from 'durable-store-mikro-orm';
import { drive } from './drive.js';

const orm = await MikroORM.init({ dbName: 'app.sqlite', entities: [...ENTITIES] });
const store = new MikroOrmStateStore(orm);
await store.ensureSchema();
const engine = new WorkflowEngine({ store });
engine.register('nap', '1', async (ctx) => ctx.sleep('1s'));
const stop = new AbortController();
const driven = drive(engine, stop.signal);
await engine.start('nap', {}, 'nap-1');
console.log((await engine.waitForRun('nap-1', { until: 'terminal' })).status);
stop.abort();
await driven;
await store.settled();
await orm.close();
`,
    );
    expect(await project.run('main.ts')).toEqual({ code: 0, output: 'completed\n' });
  });

  it('runs the whole service on PostgreSQL until it is told to stop', async () => {
    const kind = KINDS.find(({ family }) => family === 'postgresql');
    if (!kind) throw new Error('no PostgreSQL kind');
    const db = await TestDatabase.create(kind);
    const orm = await db.openReady();
    const { host, port, user, password } = connection(kind, db.dbName) as Record<string, string>;
    const login = password ? `${user}:${password}` : user;
    const project = await consumer(installed('docs/getting-started.md', 'postgresql'));
    project.write('main.ts', block('docs/getting-started.md', 'ts', 'service'));
    const service = project.start('main.ts', {
      DATABASE_URL: `postgresql://${login}@${host}:${port ?? 5432}/${db.dbName}`,
    });
    const ended = finished(service);
    service.stdout?.on('data', (text) => {
      if (String(text).includes('on its way')) service.kill('SIGTERM');
    });
    expect(await ended).toEqual({ code: 0, output: 'order o-1 is on its way\n' });
    expect(await sql(orm).execute('select id, total from orders')).toEqual([{ id: 'o-1', total: 42 }]);
    expect(await sql(orm).execute('select id, status from durable_workflow_runs')).toEqual([
      { id: 'order-o-1', status: 'completed' },
    ]);
    await db.drop();
  });

  it('boots the NestJS application', async () => {
    const project = await consumer([
      ...installed('README.md', 'better-sqlite'),
      ...installed('docs/getting-started.md', '@nestjs/core'),
    ]);
    project.write('main.ts', block('docs/getting-started.md', 'ts', 'nestjs'));
    expect(await project.run('main.ts')).toEqual({ code: 0, output: 'Hello, Ada!\n' });
  });

  it('boots NestJS with the imports of the README', async () => {
    const project = await consumer([
      ...installed('README.md', 'better-sqlite'),
      ...installed('docs/getting-started.md', '@nestjs/core'),
    ]);
    project.write('imports.ts', block('README.md', 'ts', 'DurableModule.forRootAsync'));
    project.write(
      'main.ts',
      `
import 'reflect-metadata';
import { WorkflowEngine } from '@dudousxd/nestjs-durable';
import { NestFactory } from '@nestjs/core';
import { imports } from './imports.js';

const app = await NestFactory.createApplicationContext({ module: class {}, imports }, { logger: ['error', 'warn'] });
const engine = app.get(WorkflowEngine);
engine.register('greet', '1', async () => 'hello');
await engine.start('greet', {}, 'greet-1');
console.log((await engine.waitForRun('greet-1', { until: 'terminal' })).output);
await app.close();
`,
    );
    expect(await project.run('main.ts')).toEqual({ code: 0, output: 'hello\n' });
  });

  it('runs the migration of the README', async () => {
    const project = await consumer([...installed('README.md', 'better-sqlite'), '@mikro-orm/migrations']);
    project.write('migration.ts', block('README.md', 'ts', '@mikro-orm/migrations'));
    project.write(
      'main.ts',
      `
import { MikroORM } from '@mikro-orm/better-sqlite';
import { Migrator } from '@mikro-orm/migrations';
import { durableManagedTables, ENTITIES } from 'durable-store-mikro-orm';
import { AddDurableTables } from './migration.js';

const orm = await MikroORM.init({
  dbName: 'app.sqlite',
  entities: [...ENTITIES],
  extensions: [Migrator],
  logger: () => undefined,
  migrations: { migrationsList: [{ name: 'AddDurableTables', class: AddDurableTables }], snapshot: false },
});
await orm.getMigrator().up();
for (const table of durableManagedTables()) await orm.em.execute('select 1 from ' + table);
console.log('all there');
await orm.close();
`,
    );
    expect(await project.run('main.ts')).toEqual({ code: 0, output: 'all there\n' });
  });
});
