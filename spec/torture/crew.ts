import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Ledger, monotonicMs } from './ledger';
import type { Random } from './random';
import { type Order, UNHANDLED_EXIT, type Word, type WorkerSettings } from './worker-settings';

/** Longer than leaving takes on any machine: who is not gone by then hangs. */
const LEAVE_WITHIN_MS = 120_000;
/** What is kept of what a worker says to its stderr. */
const LAST_WORDS = 2000;

interface Member {
  readonly name: string;
  readonly process: ChildProcess;
  ready: boolean;
  killed: boolean;
  stopped: boolean;
  lastWords: string;
}

/** A constant number of worker processes: who goes is replaced. */
export class Crew {
  hired = 0;
  killed = 0;
  /** Promises that workers say they have broken on purpose. */
  sabotages = 0;
  /** Workers that ended by themselves, and how. */
  readonly broken: string[] = [];
  private members: Member[] = [];
  private leaving = false;

  constructor(
    size: number,
    private readonly settings: Omit<WorkerSettings, 'name' | 'seed'>,
    private readonly ledger: Ledger,
    private readonly random: Random,
  ) {
    for (let n = 0; n < size; n += 1) this.hire();
  }

  /** Wait until everybody has booted. To be called before anybody can have. */
  async assembled(): Promise<void> {
    await Promise.all(this.members.map((member) => booted(member)));
  }

  /** Take a process away in the middle of whatever it does. */
  kill(): void {
    const victim = this.random.pick(this.members.filter(({ ready }) => ready));
    if (!victim) throw new Error('no worker is ready');
    victim.killed = true;
    this.killed += 1;
    victim.process.kill('SIGKILL');
  }

  /** Stop a process, and let it go on after `ms`. */
  async stop(ms: number): Promise<void> {
    const victim = this.random.pick(this.members.filter(({ ready, stopped }) => ready && !stopped));
    if (!victim) throw new Error('no worker is ready');
    victim.stopped = true;
    const at = monotonicMs();
    victim.process.kill('SIGSTOP');
    await delay(ms);
    victim.process.kill('SIGCONT');
    victim.stopped = false;
    this.ledger.write({ kind: 'stopped', worker: victim.name, untilAt: monotonicMs() }, at);
  }

  /** Ask a worker to start a run; false when there is none to ask. */
  order(order: Order): boolean {
    const member = this.random.pick(this.members.filter(({ ready, stopped }) => ready && !stopped));
    return member?.process.send(order, () => undefined) ?? false;
  }

  /** Send everybody home and wait until they are gone. */
  async dismiss(): Promise<void> {
    this.leaving = true;
    const leavers = [...this.members];
    for (const member of leavers) {
      // One that still boots has nothing in hand, and does not listen.
      if (!member.ready) member.killed = true;
      member.process.kill(member.ready ? 'SIGTERM' : 'SIGKILL');
    }
    const timer = setTimeout(() => {
      for (const { process } of leavers) process.kill('SIGKILL');
    }, LEAVE_WITHIN_MS);
    await Promise.all(leavers.map(({ process }) => ended(process)));
    clearTimeout(timer);
  }

  private hire(): void {
    this.hired += 1;
    const name = `w${this.hired}`;
    const settings: WorkerSettings = { ...this.settings, name, seed: Math.floor(this.random.next() * 2 ** 32) };
    const env = { ...process.env, TORTURE_WORKER: JSON.stringify(settings) };
    const child = fork(join(__dirname, 'worker.ts'), { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const member: Member = { name, process: child, ready: false, killed: false, stopped: false, lastWords: '' };
    child.on('message', (word: Word) => {
      if (word === 'ready') member.ready = true;
      else this.sabotages += 1;
    });
    child.stderr?.on('data', (chunk) => {
      member.lastWords = (member.lastWords + String(chunk)).slice(-LAST_WORDS);
    });
    child.once('exit', (code, signal) => this.replace(member, code, signal));
    this.members.push(member);
  }

  private replace(member: Member, code: number | null, signal: NodeJS.Signals | null): void {
    const how = member.killed ? 'killed' : code === 0 ? 'left' : `${signal ?? `code ${code}`}`;
    this.ledger.write({ kind: 'gone', worker: member.name, how });
    this.members = this.members.filter((other) => other !== member);
    if (how !== 'killed' && how !== 'left') {
      const words = code === UNHANDLED_EXIT ? 'an error that nobody caught' : member.lastWords.trim();
      this.broken.push(`${member.name}: ${how}, ${words}`);
    }
    if (!this.leaving) this.hire();
  }
}

function booted(member: Member): Promise<void> {
  return new Promise((resolve, reject) => {
    member.process.once('message', () => resolve());
    const words = () => new Error(`${member.name} ended before it was ready: ${member.lastWords}`);
    member.process.once('exit', () => reject(words()));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
