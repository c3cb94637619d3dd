import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ts from 'typescript';
import { Consumer, type Packed, pack } from './support/consumer';

const ROOT = join(__dirname, '..');
const PEERS = ['@dudousxd/nestjs-durable-core', '@mikro-orm/core'];

/** Every name a user can import at run time. Adding one is a decision; removing one breaks somebody. */
const EXPORTS = [
  'BufferedSignalEntity',
  'DurableClosedError',
  'DurableConfigurationError',
  'DurableDatabaseError',
  'DurableInputError',
  'DurableRowError',
  'DurableRunNotFoundError',
  'DurableSchemaError',
  'DurableStoreError',
  'DurableTransactionError',
  'ENTITIES',
  'MikroOrmControlPlane',
  'MikroOrmStateStore',
  'RunAttributeEntity',
  'SignalWaiterEntity',
  'StepCheckpointEntity',
  'WorkflowRunEntity',
  'durableEntities',
  'durableManagedTables',
  'durableSchemaSql',
  'ensureMikroOrmDurableSchema',
  'planMikroOrmDurableSchema',
  'sqliteConfig',
];

const SCHEMA_EXPORTS = EXPORTS.filter(
  (name) => name.endsWith('Entity') || ['ENTITIES', 'durableEntities', 'durableManagedTables'].includes(name),
);

let directory: string;
let packed: Packed;
let consumer: Consumer;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'packed-'));
  packed = await pack(directory);
  consumer = await Consumer.create(packed.tarball, PEERS);
});

afterAll(() => {
  consumer?.remove();
  rmSync(directory, { recursive: true, force: true });
});

function json(path: string) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** The files of a folder of the repository and of those in it, as paths with slashes. */
function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? sources(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
  );
}

const LIBRARY = [...sources('lib'), ...sources('schemas')];

describe('the tarball', () => {
  it('holds the build, its types, and the papers, and nothing else', () => {
    const built = LIBRARY.flatMap((source) => {
      const base = `dist/${source.replace(/\.ts$/, '')}`;
      return [`${base}.d.ts`, `${base}.js`];
    });
    expect(packed.files).toEqual([...built, 'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'].sort());
  });

  it('asks for nothing at run time but the two peers', () => {
    const manifest = json(join(ROOT, 'package.json'));
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.optionalDependencies).toBeUndefined();
    expect(manifest.bundledDependencies ?? manifest.bundleDependencies).toBeUndefined();
    expect(Object.keys(manifest.peerDependencies).sort()).toEqual(PEERS);
    expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  });
});

describe('loading it', () => {
  it('gives require and import the same names, from a project that has only the peers', async () => {
    consumer.write(
      'required.cjs',
      "console.log(JSON.stringify(Object.keys(require('durable-store-mikro-orm')).sort()))",
    );
    consumer.write(
      'imported.mjs',
      "import * as all from 'durable-store-mikro-orm';\n" +
        "console.log(JSON.stringify(Object.keys(all).filter((name) => !['default', 'module.exports', '__esModule'].includes(name)).sort()))",
    );
    const [required, imported] = await Promise.all([consumer.run('required.cjs'), consumer.run('imported.mjs')]);
    expect(JSON.parse(required.output)).toEqual(EXPORTS);
    expect(JSON.parse(imported.output)).toEqual(EXPORTS);
  });

  it('gives both the same classes and entities, so that either half of an application may load it', async () => {
    consumer.write(
      'both.mjs',
      "import { createRequire } from 'node:module';\n" +
        "import { ENTITIES, MikroOrmStateStore } from 'durable-store-mikro-orm';\n" +
        "const required = createRequire(import.meta.url)('durable-store-mikro-orm');\n" +
        'console.log(required.ENTITIES === ENTITIES, required.MikroOrmStateStore === MikroOrmStateStore);',
    );
    expect((await consumer.run('both.mjs')).output.trim()).toBe('true true');
  });

  it('offers the entities without the store under ./schemas', async () => {
    consumer.write('schemas.cjs', "console.log(Object.keys(require('durable-store-mikro-orm/schemas')).sort().join())");
    consumer.write(
      'schemas.mjs',
      "import { ENTITIES } from 'durable-store-mikro-orm/schemas';\nconsole.log(ENTITIES.length);",
    );
    const [required, imported] = await Promise.all([consumer.run('schemas.cjs'), consumer.run('schemas.mjs')]);
    expect(required.output.trim()).toBe(SCHEMA_EXPORTS.join());
    expect(imported.output.trim()).toBe('5');
  });

  it('neither needs nor loads reflect-metadata', async () => {
    consumer.write(
      'plain.cjs',
      "require('durable-store-mikro-orm');\n" +
        "const own = Object.keys(require.cache).filter((path) => path.includes('durable-store-mikro-orm'));\n" +
        'console.log(own.length > 0, own.some((path) => require.cache[path].children.some(({ id }) => id.includes("reflect-metadata"))));',
    );
    expect((await consumer.run('plain.cjs')).output.trim()).toBe('true false');
  });
});

describe('types', () => {
  const use = `
import type { StateStore } from '@dudousxd/nestjs-durable-core';
import { MikroORM } from '@mikro-orm/better-sqlite';
import { ENTITIES, ensureMikroOrmDurableSchema, MikroOrmStateStore, type WorkflowRun } from 'durable-store-mikro-orm';
import { durableEntities } from 'durable-store-mikro-orm/schemas';

export async function boot(): Promise<StateStore> {
  const orm = await MikroORM.init({ dbName: ':memory:', entities: [...ENTITIES] });
  const { executed } = await ensureMikroOrmDurableSchema(orm.em.fork());
  const count: number = executed.length + durableEntities({ naming: 'preserve' }).length;
  const store = new MikroOrmStateStore(orm, { retry: { attempts: count } });
  const run: WorkflowRun | null = await store.getRun('order-1');
  // @ts-expect-error: a run id is a string
  await store.getRun(1);
  // @ts-expect-error: internal arguments are not part of the types
  new MikroOrmStateStore(orm, {}, {});
  return run === null ? store : store.withScope({ namespace: run.namespace });
}
`;

  it.each(['use.cts', 'use.mts'])('compile for a strict Node consumer: %s', async (name) => {
    const typed = await Consumer.create(packed.tarball, [...PEERS, '@mikro-orm/better-sqlite', '@mikro-orm/knex']);
    typed.write(name, use);
    const program = ts.createProgram([join(typed.directory, name)], {
      module: ts.ModuleKind.Node16,
      moduleResolution: ts.ModuleResolutionKind.Node16,
      target: ts.ScriptTarget.ES2022,
      strict: true,
      noEmit: true,
      types: [],
    });
    // The user's file and all declarations of ours; what MikroORM and the engine declare is not ours to check.
    const checked = program
      .getSourceFiles()
      .filter(({ fileName }) => fileName.endsWith(name) || fileName.includes('/durable-store-mikro-orm/'));
    const problems = [
      ...program.getOptionsDiagnostics(),
      ...program.getGlobalDiagnostics(),
      ...checked.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]),
    ].map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
    typed.remove();
    expect(checked.length).toBeGreaterThan(10);
    expect(problems).toEqual([]);
  });
});

describe('the sources', () => {
  it('use no decorator and no reflection', () => {
    for (const path of LIBRARY) {
      const text = readFileSync(join(ROOT, path), 'utf8');
      expect({ path, reflects: /reflect-metadata|Reflect\.(get|define)Metadata/.test(text) }).toEqual({
        path,
        reflects: false,
      });
      const decorated: string[] = [];
      const visit = (node: ts.Node): void => {
        if (ts.isDecorator(node)) decorated.push(node.getText());
        ts.forEachChild(node, visit);
      };
      visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
      expect({ path, decorated }).toEqual({ path, decorated: [] });
    }
  });

  it('are compiled without decorator flags', () => {
    for (const path of readdirSync(ROOT).filter((name) => /^tsconfig.*\.json$/.test(name))) {
      const { compilerOptions } = json(join(ROOT, path));
      expect(compilerOptions).not.toHaveProperty('experimentalDecorators');
      expect(compilerOptions).not.toHaveProperty('emitDecoratorMetadata');
    }
  });

  it('are locked to versions, not to a place they were downloaded from', () => {
    const text = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
    expect(text).not.toContain('"resolved"');
    expect(text).not.toMatch(/https?:\/\/[^"]*\.tgz/);
  });
});
