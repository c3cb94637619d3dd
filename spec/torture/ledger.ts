import { mkdirSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Failure } from './failure';

/** Something a process saw happen. Written before it goes on, so that it survives the process. */
export type Fact =
  | { kind: 'started'; run: string; workflow: string }
  /** The engine is about to read the checkpoints that a turn replays. */
  | { kind: 'reading'; run: string }
  /** The engine calls the workflow's function. `turn` is unique over all processes. */
  | { kind: 'turn'; run: string; turn: string }
  | { kind: 'threw'; run: string; turn: string; failure: Failure }
  /** A body begins. `execution` is unique over all processes and part of the step's output. */
  | { kind: 'began'; run: string; step: string; turn: string; execution: string; transaction: boolean }
  /** The engine returned from the step: its completed checkpoint is committed. */
  | { kind: 'acknowledged'; run: string; step: string; turn: string; execution: string }
  /** A checkpoint `running` is about to be written. */
  | { kind: 'claim'; run: string; step: string }
  /** The store granted a lease. `calledAt` as `at`, the others epoch milliseconds as passed to the store. */
  | { kind: 'leased'; run: string; calledAt: number; nowMs: number; untilMs: number }
  | { kind: 'renewed'; run: string; calledAt: number; untilMs: number }
  | { kind: 'releasing'; run: string }
  | { kind: 'released'; run: string }
  | { kind: 'completed'; run: string }
  /** A signal or event was acknowledged. `wait` is the token or the name of the event. */
  | { kind: 'sent'; run: string; wait: string; message: string; again: boolean }
  | { kind: 'not-sent'; run: string; wait: string; failure: Failure }
  /** A process is about to take a message of this wait, or its waiter. */
  | { kind: 'taking'; wait: string }
  /** A process is about to record a message as what the run waited for. */
  | { kind: 'delivering'; run: string; wait: string; message: string }
  /** A store error that the host caught, outside of any workflow. */
  | { kind: 'caught'; failure: Failure }
  /** The process ends: nobody caught this. `event`: what Node calls it. */
  | { kind: 'unhandled'; event: string; failure: Failure }
  | { kind: 'requeued'; run: string; reason: string }
  | { kind: 'child-repeated'; run: string }
  /** The controller took a worker's time away from `at` until `untilAt`. */
  | { kind: 'stopped'; worker: string; untilAt: number }
  | { kind: 'gone'; worker: string; how: string };

export type Recorded = Fact & {
  /** Monotonic milliseconds, the same clock for all processes of this machine. */
  readonly at: number;
  /** The process that wrote it. */
  readonly by: string;
};

/** Milliseconds of the machine's monotonic clock. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** One process's own append-only file of facts, a JSON line each. */
export class Ledger {
  private readonly fd: number;

  constructor(
    directory: string,
    readonly by: string,
  ) {
    mkdirSync(directory, { recursive: true });
    this.fd = openSync(join(directory, `${by}.jsonl`), 'a');
  }

  /** Synchronous: a SIGKILL right after it loses nothing. */
  write(fact: Fact, at = monotonicMs()): void {
    writeSync(this.fd, `${JSON.stringify({ at, by: this.by, ...fact })}\n`);
  }
}

/** All facts of all processes in the order of their time. A line that a kill cut short is no fact. */
export function readLedgers(directory: string): Recorded[] {
  const facts: Recorded[] = [];
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.jsonl'))) {
    const lines = readFileSync(join(directory, file), 'utf8').split('\n');
    lines.pop();
    for (const line of lines) facts.push(JSON.parse(line) as Recorded);
  }
  return facts.sort((a, b) => a.at - b.at);
}
