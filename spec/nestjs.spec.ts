import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DurableModule,
  type DurableModuleOptions,
  Workflow,
  type WorkflowCtx,
  WorkflowEngine,
  WorkflowService,
} from '@dudousxd/nestjs-durable';
import { InMemoryTransport } from '@dudousxd/nestjs-durable-core';
import { defineConfig, MikroORM } from '@mikro-orm/better-sqlite';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { DynamicModule, INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ENTITIES, MikroOrmControlPlane, MikroOrmStateStore, planMikroOrmDurableSchema } from '../lib';
import { eventually, Gate } from './support/concurrency';
import { sql } from './support/databases';
import { aRun, freshId } from './support/fixtures';
import { HostOrderEntity } from './support/host';

class GreetWorkflow {
  async run(ctx: WorkflowCtx, input: { name: string }): Promise<string> {
    const greeting = await ctx.localStep('compose', async () => `Hello, ${input.name}!`);
    await ctx.sleep(1);
    return greeting;
  }
}
// What `@Workflow({ … })` above the class does, without a compiler option for decorators.
Workflow({ name: 'greet', version: '1' })(GreetWorkflow);

/** Knows what is asked of the store it is. */
class WatchedStore extends MikroOrmStateStore {
  readonly asked: string[] = [];

  override async ensureSchema(): Promise<void> {
    this.asked.push('ensureSchema');
    await super.ensureSchema();
  }

  override async pruneTerminalRuns(...args: Parameters<MikroOrmStateStore['pruneTerminalRuns']>): Promise<number> {
    this.asked.push('pruneTerminalRuns');
    return super.pruneTerminalRuns(...args);
  }

  override withScope(scope: { namespace?: string | undefined }): MikroOrmStateStore {
    this.asked.push(`withScope ${scope.namespace}`);
    return super.withScope(scope);
  }
}

let directory: string;
let app: INestApplicationContext | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'durable-'));
});

afterEach(async () => {
  await app?.close();
  app = undefined;
  rmSync(directory, { recursive: true });
});

interface Host {
  app: INestApplicationContext;
  orm: MikroORM;
  store: WatchedStore;
}

/** Boot an application over the test's database file; `before` runs on the ORM before the durable module sees it. */
async function boot(
  options: Partial<DurableModuleOptions> = {},
  { providers = [], before }: { providers?: Type[]; before?: (orm: MikroORM) => Promise<void> } = {},
): Promise<Host> {
  let store: WatchedStore | undefined;
  const database = defineConfig({ dbName: join(directory, 'app.sqlite'), entities: [...ENTITIES, HostOrderEntity] });
  const durable = DurableModule.forRootAsync({
    inject: [MikroORM],
    useFactory: async (orm: MikroORM) => {
      await before?.(orm);
      store = new WatchedStore(orm);
      return { store, transport: new InMemoryTransport(), timerPollMs: 20, ...options };
    },
  });
  const root: DynamicModule = {
    module: class AppModule {},
    imports: [await MikroOrmModule.forRoot(database), durable],
    providers,
  };
  app = await NestFactory.createApplicationContext(root, { logger: ['error', 'warn'] });
  return { app, orm: app.get(MikroORM), store: store as WatchedStore };
}

it('ensures the schema on boot and completes a workflow that sleeps', async () => {
  const { app, orm, store } = await boot({}, { providers: [GreetWorkflow] });
  expect(store.asked[0]).toBe('ensureSchema');
  expect(await planMikroOrmDurableSchema(orm)).toEqual({ missing: [], statements: [], notes: [], problems: [] });

  const { runId } = await app.get(WorkflowService).start(GreetWorkflow, { name: 'Ada' }, freshId());
  const result = await app.get(WorkflowEngine).waitForRun(runId, { until: 'terminal' });
  expect(result).toMatchObject({ status: 'completed', output: 'Hello, Ada!' });
  expect(await store.getRun(runId)).toMatchObject({ workflow: 'greet', output: 'Hello, Ada!', namespace: 'default' });
});

it('hears of runs that others start, through the option controlPlane', async () => {
  const options: Partial<DurableModuleOptions> = { timerPollMs: 3_600_000 };
  const { orm, store } = await boot(options, {
    providers: [GreetWorkflow],
    before: async (orm) => {
      options.controlPlane = new MikroOrmControlPlane(orm);
    },
  });
  const other = await MikroORM.init(
    defineConfig({ dbName: orm.config.get('dbName') as string, entities: [...ENTITIES] }),
  );
  const starter = new WorkflowEngine({
    store: new MikroOrmStateStore(other),
    runDispatcher: { dispatch: () => undefined },
  });
  starter.register('greet', '1', async () => undefined);
  const id = freshId();
  await starter.start('greet', { name: 'Ada' }, id);
  await eventually('it has slept, and ended', async () => (await store.getRun(id))?.status === 'completed');
  await other.close(true);
});

it('leaves the schema to migrations when told so', async () => {
  const { store } = await boot({ autoSchema: false }, { before: (orm) => new MikroOrmStateStore(orm).ensureSchema() });
  expect(store.asked).toEqual([]);
});

it('recovers on boot what a process left running', async () => {
  const run = aRun({ workflow: 'greet', status: 'running', lockedBy: 'dead', lockedUntil: 1, input: { name: 'Bo' } });
  const { app } = await boot(
    {},
    {
      providers: [GreetWorkflow],
      before: async (orm) => {
        const store = new MikroOrmStateStore(orm);
        await store.ensureSchema();
        await store.createRun(run);
      },
    },
  );
  const result = await app.get(WorkflowEngine).waitForRun(run.id, { until: 'terminal' });
  expect(result).toMatchObject({ status: 'completed', output: 'Hello, Bo!' });
});

it('prunes finished runs by the retention policy, with what belongs to them', async () => {
  const old = aRun({ status: 'completed', updatedAt: new Date(0), searchAttributes: { tier: 'pro' } });
  const kept = aRun({ status: 'failed', updatedAt: new Date(0) });
  const { orm, store } = await boot(
    { retention: { policies: [{ statuses: ['completed'], maxAge: '14d' }] } },
    {
      before: async (orm) => {
        const store = new MikroOrmStateStore(orm);
        await store.ensureSchema();
        await store.createRun(old);
        await store.createRun(kept);
      },
    },
  );
  await eventually('the old run is pruned', async () => (await store.getRun(old.id)) === null);
  expect(store.asked).toContain('pruneTerminalRuns');
  expect(await store.getRun(kept.id)).not.toBeNull();
  expect(await sql(orm).execute('select * from durable_run_attributes')).toEqual([]);
});

it('confines reads to a namespace through withScope', async () => {
  const theirs = aRun({ status: 'completed', namespace: 'theirs' });
  const { app, store } = await boot({ namespace: 'ours', scopeReads: true }, { providers: [GreetWorkflow] });
  await store.createRun(theirs);
  expect(store.asked).toContain('withScope ours');

  const { runId } = await app.get(WorkflowService).start(GreetWorkflow, { name: 'Ada' }, freshId());
  await app.get(WorkflowEngine).waitForRun(runId, { until: 'terminal' });
  expect(await store.getRun(runId)).toMatchObject({ namespace: 'ours', status: 'completed' });
  await expect(app.get(WorkflowEngine).resume(theirs.id)).rejects.toThrow('not found');
});

it('drains before MikroOrmModule closes the ORM, which is listed first', async () => {
  const begun = new Gate();
  const { app: running } = await boot();
  app = undefined;
  const engine = running.get(WorkflowEngine);
  engine.register('slow', '1', async (ctx) =>
    ctx.localStep('work', async () => {
      begun.open();
      await new Promise((resolve) => setImmediate(resolve));
      return 'done';
    }),
  );
  const { runId } = await engine.start('slow', {}, freshId());
  await begun.passed;
  await running.close();

  const orm = await MikroORM.init(
    defineConfig({ dbName: join(directory, 'app.sqlite'), entities: [...ENTITIES, HostOrderEntity] }),
  );
  expect(await new MikroOrmStateStore(orm).getRun(runId)).toMatchObject({ status: 'completed', output: 'done' });
  await orm.close(true);
});

it('drains what is in flight on shutdown, and leaves closing the ORM to whoever opened it', async () => {
  const begun = new Gate();
  const held = new Gate();
  const orm = await MikroORM.init(
    defineConfig({ dbName: join(directory, 'own.sqlite'), entities: [...ENTITIES, HostOrderEntity] }),
  );
  const store = new MikroOrmStateStore(orm);
  app = await NestFactory.createApplicationContext(
    { module: class {}, imports: [DurableModule.forRoot({ store, transport: new InMemoryTransport() })] },
    { logger: ['error', 'warn'] },
  );
  const engine = app.get(WorkflowEngine);
  engine.register('slow', '1', async (ctx) =>
    ctx.localStep('work', async () => {
      begun.open();
      await held.passed;
      return 'done';
    }),
  );
  const { runId } = await engine.start('slow', {}, freshId());
  await begun.passed;

  let closed = false;
  const closing = app.close().then(() => {
    closed = true;
  });
  expect((await store.getRun(runId))?.status).toBe('running');
  expect(closed).toBe(false);
  held.open();
  await closing;
  app = undefined;

  expect(await store.getRun(runId)).toMatchObject({ status: 'completed', output: 'done' });
  expect(await orm.isConnected()).toBe(true);
  await store.settled();
  await orm.close(true);
});
