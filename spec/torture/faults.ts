import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import type { Crew } from './crew';
import { FAULT_WEIGHTS, type FaultKind } from './fault-kinds';
import { holdWriteLock, lockBackwards, pooledSessionPorts, terminate } from './locks';
import type { Options } from './options';
import type { TcpProxy } from './proxy';
import type { Random } from './random';
import type { TortureServer } from './server';

/** What faults act upon. */
export interface Victims {
  readonly orm: MikroORM;
  readonly crew: Crew;
  readonly proxy: TcpProxy | undefined;
  readonly server: TortureServer | undefined;
}

/** The faults that the database and its server have. */
export function available(options: Options, server: TortureServer | undefined): FaultKind[] {
  const sqlite = options.db === 'sqlite';
  const everywhere: FaultKind[] = ['kill', 'stop'];
  return options.faults.filter((kind) => {
    if (everywhere.includes(kind)) return true;
    if (kind === 'lock') return sqlite;
    return kind === 'restart' ? server?.restart !== undefined : !sqlite;
  });
}

/** Draws faults at random moments until there were enough, and lets those under way end. */
export class Faults {
  /** How often each has struck. */
  readonly struck = new Map<FaultKind, number>();
  /** Faults that could not be carried out; they do not count as struck. */
  readonly failed: string[] = [];
  private readonly underWay = new Set<Promise<void>>();
  private isRestarting = false;

  constructor(
    private readonly victims: Victims,
    private readonly kinds: readonly FaultKind[],
    private readonly options: Options,
    private readonly random: Random,
  ) {}

  /** Faults of all kinds that have struck. */
  get total(): number {
    return [...this.struck.values()].reduce((sum, times) => sum + times, 0);
  }

  async until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      await delay(this.random.between(0.2, 1.8) * this.options.faultEveryMs);
      const kind = this.draw();
      if (!kind || enough() || (kind === 'restart' && this.isRestarting)) continue;
      this.strike(kind);
    }
    await Promise.all(this.underWay);
  }

  private strike(kind: FaultKind): void {
    const fault = this.inflict(kind).then(
      () => void this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1),
      (error) => void this.failed.push(`${kind}: ${String(error).split('\n')[0]}`),
    );
    this.underWay.add(fault);
    void fault.finally(() => this.underWay.delete(fault));
  }

  private draw(): FaultKind | undefined {
    const total = this.kinds.reduce((sum, kind) => sum + FAULT_WEIGHTS[kind], 0);
    let left = this.random.next() * total;
    return this.kinds.find((kind) => {
      left -= FAULT_WEIGHTS[kind];
      return left < 0;
    });
  }

  private async inflict(kind: FaultKind): Promise<void> {
    const { crew, proxy, orm } = this.victims;
    const { random, options } = this;
    const stallMs = 1.5 * options.leaseMs;
    switch (kind) {
      case 'kill':
        return crew.kill();
      case 'stop':
        return crew.stop(stallMs);
      case 'terminate':
        return terminate(orm, options.db, random.sample(await this.sessionPorts(), 1 + Math.floor(random.next() * 3)));
      case 'deadlock':
        return lockBackwards(orm, random);
      case 'lock':
        return holdWriteLock(orm, random.between(50, 1000));
      case 'restart':
        return this.restart();
      default:
        if (proxy) await this.hinder(proxy, kind, stallMs);
    }
  }

  /** Where the server sees its sessions come from. */
  private async sessionPorts(): Promise<number[]> {
    const { orm, proxy, server } = this.victims;
    return server?.sharesSessions ? pooledSessionPorts(orm) : (proxy?.sessionPorts ?? []);
  }

  private async restart(): Promise<void> {
    this.isRestarting = true;
    try {
      await this.victims.server?.restart?.(this.random.chance(0.5) ? 'crash' : 'shutdown');
    } finally {
      this.isRestarting = false;
    }
  }

  private async hinder(proxy: TcpProxy, kind: FaultKind, stallMs: number): Promise<void> {
    const { random } = this;
    if (kind === 'cut') proxy.cut();
    if (kind === 'cut-half') proxy.cut(() => random.chance(0.5));
    if (kind === 'stall') proxy.stall(random.between(200, stallMs));
    if (kind === 'lost-reply') {
      const cut = proxy.swallowReplies();
      await delay(random.between(20, 200));
      cut();
    }
    if (kind === 'latency') {
      proxy.delayBy(random.between(5, 60));
      await delay(random.between(500, 3000));
      proxy.delayBy(0);
    }
    if (kind === 'refuse') {
      proxy.refuse();
      proxy.cut();
      await delay(random.between(200, 3000));
      await proxy.open();
    }
  }
}
