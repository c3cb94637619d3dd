import { setTimeout as delay } from 'node:timers/promises';
import { type StateStore, WorkflowEngine, type WorkflowRun } from '@dudousxd/nestjs-durable-core';
import { CallsUnderWay } from '../support/calls';
import { Gate } from '../support/concurrency';
import { type Ends, endOf, hasEnded, waitersOfEnded } from './ends';
import { Ledger } from './ledger';
import { Polling } from './polling';
import type { EngineSetting, Scenario } from './scenario';
import type { Stage } from './stage';

const LOOK_MS = 10;
/** Polls of an engine in which nothing has happened, after which nothing is expected to happen any more. */
const IDLE_POLLS = 100;
/** Polls after a scenario, in which a run that has ended must stay so. */
const AFTER_POLLS = 5;

/** A scenario has come to rest without what it waits for. */
export class Stuck extends Error {}

/** A scenario as it is played: its engines, which poll as an application does, and what becomes of its runs. */
export class World {
  readonly ledger = new Ledger();
  /** A door for the steps of a scenario to wait at. */
  readonly gate = new Gate();
  private readonly calls = new CallsUnderWay();
  private readonly engines = new Map<string, Polling>();
  private readonly troubles: string[] = [];
  private readonly listeners: ((method: string, args: unknown[]) => void)[] = [];
  private aheadMs = 0;

  constructor(
    scenario: Scenario,
    readonly stage: Stage,
  ) {
    for (const setting of scenario.engines ?? [{ name: 'a' }]) {
      const engine = this.create(setting);
      scenario.register(engine, this, setting.name);
      const polling = new Polling(engine, (error) => this.trouble(`a poll of ${setting.name} failed`, error));
      this.engines.set(setting.name, polling);
      if (setting.polls ?? true) polling.start();
    }
  }

  /** Time as the engines see it: the clock's, and what a scenario has skipped. */
  readonly now = (): number => Date.now() + this.aheadMs;

  skip(ms: number): void {
    this.aheadMs += ms;
  }

  get names(): string[] {
    return [...this.engines.keys()];
  }

  get hasSkipped(): boolean {
    return this.aheadMs > 0;
  }

  engine(name = 'a'): WorkflowEngine {
    return this.polling(name).engine;
  }

  /** The store of a process, as its engines use it. */
  store(process = 0): StateStore {
    return this.stage.store(process);
  }

  /** See every store call of the engines as it is made. */
  onCall(listener: (method: string, args: unknown[]) => void): void {
    this.listeners.push(listener);
  }

  startPolling(name = 'a'): void {
    this.polling(name).start();
  }

  /** Polls of an engine so far. */
  polls(name = 'a'): number {
    return this.polling(name).polls;
  }

  runs(): Promise<WorkflowRun[]> {
    return this.stage.observer.listRuns({});
  }

  /** Wait for `polls` whole polls of an engine. */
  async afterPolls(name: string, polls: number): Promise<void> {
    const from = this.polls(name);
    await this.until(`${name} has polled`, async () => this.polls(name) > from + polls);
  }

  /** Wait until as many runs as that are there and all have ended. */
  untilEnded(count: number): Promise<void> {
    return this.until(`${count} runs have ended`, async () => {
      const runs = await this.runs();
      return runs.length >= count && runs.every(hasEnded);
    });
  }

  /** Wait until some runs have a status. */
  untilStatus(status: WorkflowRun['status'], ids: readonly string[]): Promise<void> {
    return this.until(`${ids.join(', ')} are ${status}`, async () => {
      const runs = await Promise.all(ids.map((id) => this.stage.observer.getRun(id)));
      return runs.every((run) => run?.status === status);
    });
  }

  /** Wait until something holds, as long as anything happens. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    let [before, since] = ['', this.totalPolls()];
    while (!(await holds())) {
      const state = await this.state();
      if (state !== before) [before, since] = [state, this.totalPolls()];
      else if (this.totalPolls() - since > IDLE_POLLS) throw new Stuck(`waited in vain until ${what}`);
      await delay(LOOK_MS);
    }
  }

  /** Note what went wrong outside of a workflow. */
  trouble(what: string, error: unknown): void {
    this.troubles.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }

  /** Let everything come to rest and look at what there is. */
  async end(): Promise<Ends> {
    const polling = [...this.engines.values()].filter(({ on }) => on);
    await Promise.all(polling.map((one) => one.run(AFTER_POLLS)));
    for (const one of this.engines.values()) await one.end();
    await this.calls.quiet();
    const runs = await this.runs();
    return {
      runs: Object.fromEntries(runs.map((run) => [run.id, endOf(run)])),
      did: this.ledger.all,
      booked: await this.stage.booked(),
      waiters: waitersOfEnded(runs, await this.stage.observer.listSignalWaiters('')),
      troubles: [...this.troubles],
    };
  }

  private create({ name, process = 0, options }: EngineSetting): WorkflowEngine {
    const store = this.calls.observed(this.stage.store(process), (method, args) => {
      for (const listener of this.listeners) listener(method, args);
    });
    return new WorkflowEngine({ clock: this.now, ...options?.(this), instanceId: name, store });
  }

  private polling(name: string): Polling {
    const polling = this.engines.get(name);
    if (!polling) throw new Error(`no engine ${name}`);
    return polling;
  }

  /** Of the engine that polls most: one may be held up by what it executes. */
  private totalPolls(): number {
    return Math.max(...[...this.engines.values()].map(({ polls }) => polls));
  }

  private async state(): Promise<string> {
    const runs = await this.runs();
    return `${this.ledger.size} ${runs.map(({ id, status }) => `${id} ${status}`).join()}`;
  }
}
