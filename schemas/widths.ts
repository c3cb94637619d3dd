/**
 * The longest text each key column takes. Characters are code points, as MySQL counts them; the byte bounds keep every
 * index entry inside PostgreSQL's 2,704 bytes and InnoDB's 3,072. The same limits hold on every database, so that
 * an application can move between them.
 */
export interface Width {
  readonly characters: number;
  readonly bytes: number;
}

const short: Width = { characters: 255, bytes: 1020 };

export const WIDTHS = {
  /** Run ids and what is derived from them: step ids, ids of remote turns. */
  runId: { characters: 512, bytes: 1024 },
  stepId: { characters: 540, bytes: 1080 },
  /** Waiters' and buffered signals' tokens; event waiters carry their whole match in it. */
  token: { characters: 768, bytes: 1592 },
  /** Checkpoint names: a token and the engine's `signal:` or `timeout:` before it. */
  checkpointName: { characters: 776, bytes: 1600 },
  short,
} as const satisfies Record<string, Width>;
