import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MikroORM } from '@mikro-orm/core';
import type { Progress } from '../../examples/demo/progress';
import { ensureMikroOrmDurableSchema } from '../../lib';
import { sql } from '../support/databases';
import { Controller } from './controller';
import { Crew } from './crew';
import { createBusiness, open, serverVersion, type Target } from './database';
import type { FaultKind } from './fault-kinds';
import { available, Faults } from './faults';
import { Goal } from './goal';
import { judge, type Verdict } from './judge';
import { Ledger } from './ledger';
import type { Options } from './options';
import { TcpProxy } from './proxy';
import { Random } from './random';
import { startServer, type TortureServer } from './server';

/** Everything there is to say about a run of the torture. */
export interface Outcome {
  readonly options: Options;
  readonly server: string;
  readonly kinds: readonly FaultKind[];
  readonly struck: ReadonlyMap<FaultKind, number>;
  readonly failedFaults: readonly string[];
  readonly workers: { readonly hired: number; readonly killed: number; readonly broken: readonly string[] };
  /** Seconds of faults, and from their end until every run had ended. */
  readonly seconds: { readonly faults: number; readonly settling: number };
  readonly verdict: Verdict;
}

/** How soon a waiting run looks again whether it has missed its wake-up. */
const RECONCILE_MS = 2000;

/** The torture from an empty database to the verdict. Nothing of it remains, unless the options say `keep`. */
export async function torture(options: Options, progress: Progress): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'durable-torture-'));
  // A server that runs as another user must get to its files.
  chmodSync(directory, 0o755);
  const server = await startServer(options, directory).catch((error) => {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  });
  const proxy = server && new TcpProxy(() => server.port);
  // For those whose way is not disturbed, but who must follow a fail-over too.
  const door = server && new TcpProxy(() => server.port);
  try {
    return await onServer(options, progress, directory, { server, proxy, door });
  } finally {
    proxy?.close();
    door?.close();
    await server?.stop();
    if (options.keep) progress.print(`Left for you to look at: ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

async function onServer(
  options: Options,
  progress: Progress,
  directory: string,
  { server, proxy, door }: Ways,
): Promise<Outcome> {
  const target = await createDatabase(options, directory, server, await door?.open());
  const orm = await open(target);
  try {
    await createTables(target);
    const workerTarget = proxy ? { ...target, port: await proxy.open() } : target;
    return await run({ options, progress, directory, orm, target: workerTarget, server, proxy });
  } finally {
    await orm.close(true);
    await dropDatabase(target, server);
  }
}

/** The ways to the database. */
interface Ways {
  readonly server: TortureServer | undefined;
  /** The workers', with obstacles. */
  readonly proxy: TcpProxy | undefined;
  /** Everybody else's. */
  readonly door: TcpProxy | undefined;
}

interface Scene {
  readonly options: Options;
  readonly progress: Progress;
  readonly directory: string;
  readonly orm: MikroORM;
  /** As the workers reach it. */
  readonly target: Target;
  readonly server: TortureServer | undefined;
  readonly proxy: TcpProxy | undefined;
}

async function run(scene: Scene): Promise<Outcome> {
  const { options, directory, orm, target, server, proxy } = scene;
  const ledgers = join(directory, 'ledgers');
  const ledger = new Ledger(ledgers, 'controller');
  const random = new Random(options.seed);
  const { leaseMs, sabotage } = options;
  const settings = { target, ledgers, leaseMs, reconcileMs: RECONCILE_MS, sabotage };
  const crew = new Crew(options.workers, settings, ledger, random);
  const controller = new Controller(orm, ledger, random, RECONCILE_MS);
  const kinds = available(options, server);
  const faults = new Faults({ orm, crew, proxy, server }, kinds, options, random);
  const seconds = await phases(scene, crew, controller, faults);
  return {
    options,
    server: await serverVersion(orm, options.db),
    kinds,
    struck: faults.struck,
    failedFaults: faults.failed,
    workers: crew,
    seconds,
    verdict: await judge(orm, ledgers, crew.broken),
  };
}

/** Everybody boots; faults and orders; then peace until every run has ended; then everybody goes home. */
async function phases(
  { options, progress }: Scene,
  crew: Crew,
  controller: Controller,
  faults: Faults,
): Promise<Outcome['seconds']> {
  let over = false;
  const booting = crew.assembled();
  let beganAt = performance.now();
  const attending = controller.attend(() => over);
  const shows = setInterval(() => progress.show(progressLine(beganAt, controller, faults, crew)), 500);
  try {
    await booting;
    beganAt = performance.now();
    const goal = new Goal(options, counts(crew, controller, faults), beganAt);
    const struck = faults.until(() => goal.reached(performance.now(), ['faults']));
    const ordered = controller.order(crew, () => goal.reached(performance.now()), options);
    // When the controller gives up, so does the torture.
    await Promise.race([attending, Promise.all([struck, ordered])]);
    const faultsEndedAt = performance.now();
    await Promise.race([attending, controller.settled(options.settleSeconds * 1000)]);
    const settledAt = performance.now();
    return { faults: (faultsEndedAt - beganAt) / 1000, settling: (settledAt - faultsEndedAt) / 1000 };
  } finally {
    over = true;
    clearInterval(shows);
    await crew.dismiss();
    await attending;
  }
}

function counts(crew: Crew, controller: Controller, faults: Faults) {
  return { runs: () => controller.completed, faults: () => faults.total, sabotages: () => crew.sabotages };
}

function progressLine(beganAt: number, controller: Controller, faults: Faults, crew: Crew): string {
  const struck = [...faults.struck].map(([kind, times]) => `${kind} ${times}`).join(' ');
  const seconds = Math.round((performance.now() - beganAt) / 1000);
  return [
    `${seconds} s`,
    `runs ${controller.completed}/${controller.total} completed, ${controller.failures} failed and queued again`,
    `charged twice ${controller.chargedAgain}`,
    `workers ${crew.hired}, ${crew.broken.length} broke down`,
    `faults: ${struck || 'none yet'}`,
  ].join('; ');
}

async function createDatabase(
  options: Options,
  directory: string,
  server: TortureServer | undefined,
  port: number | undefined,
): Promise<Target> {
  if (!server || port === undefined) return { db: options.db, dbName: join(directory, 'app.sqlite') };
  const { user, password, mainDb } = server;
  const target = { db: options.db, port, user, password };
  const dbName = `durable_torture_${randomBytes(6).toString('hex')}`;
  await administrate({ ...target, dbName: mainDb }, `create database ${dbName}`);
  return { ...target, dbName };
}

async function createTables(target: Target): Promise<void> {
  const orm = await open(target);
  try {
    await ensureMikroOrmDurableSchema(orm);
    await createBusiness(orm);
  } finally {
    await orm.close(true);
  }
}

async function dropDatabase(target: Target, server: TortureServer | undefined): Promise<void> {
  if (!server) return;
  const force = target.db === 'postgresql' ? ' with (force)' : '';
  await administrate({ ...target, dbName: server.mainDb }, `drop database ${target.dbName}${force}`);
}

async function administrate(target: Target, statement: string): Promise<void> {
  const orm = await open(target);
  try {
    await sql(orm).execute(statement, [], 'run');
  } finally {
    await orm.close(true);
  }
}
