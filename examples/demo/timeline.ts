import type { Report } from './watch';

/** Prints what happens while it happens, one line each. */
export class Timeline {
  private readonly startedAt = Date.now();

  constructor(private readonly print: (line: string) => void) {
    print(['   time', 'process'.padEnd(22), 'step'.padEnd(9), 'result'].join('  '));
  }

  add(who: string, step: string, result: string, at = Date.now()): void {
    const seconds = `${((at - this.startedAt) / 1000).toFixed(2)} s`.padStart(7);
    this.print([seconds, who.padEnd(22), step.padEnd(9), result].join('  '));
  }

  /** A line for what a worker reported. */
  addReport({ at, what, step, detail }: Report, who: string): void {
    this.add(who, step ?? '', WORDS[what] + (detail ? `: ${detail}` : ''), at);
  }
}

const WORDS: Record<Report['what'], string> = {
  ready: 'ready',
  started: 'started',
  executed: 'executed, checkpoint saved',
  replayed: 'replayed from its checkpoint, not executed',
  waiting: 'waits for a signal; no process holds the run',
  signalled: 'signal read',
  completed: 'order completed',
  failed: 'order failed',
  trouble: 'trouble',
};
