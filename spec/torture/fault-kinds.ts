/** Everything that can go wrong on purpose. */
export const FAULT_KINDS = [
  'kill',
  'stop',
  'cut',
  'cut-half',
  'refuse',
  'latency',
  'stall',
  'lost-reply',
  'terminate',
  'deadlock',
  'restart',
  'lock',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** What each does, for the report. */
export const FAULT_WORDS: Record<FaultKind, string> = {
  kill: 'SIGKILL of a worker',
  stop: 'SIGSTOP of a worker for 1.5 leases, then SIGCONT',
  cut: 'all connections cut at the proxy',
  'cut-half': 'half of the connections cut at the proxy',
  refuse: 'new connections refused for 0.2–3 s, and the old ones cut',
  latency: '5–60 ms more on every packet for 0.5–3 s',
  stall: 'no byte forwarded for up to 1.5 leases',
  'lost-reply': 'replies swallowed for 20–200 ms, then the connections cut: what was committed is not acknowledged',
  terminate: 'sessions ended by the server (pg_terminate_backend / KILL)',
  deadlock: "rows locked in the opposite order of the store's own statements",
  restart: 'the server killed (crash recovery) or shut down, and started again',
  lock: 'the write lock of the database held for up to 1 s by another process',
};

/** How often each is drawn, relative to the others. */
export const FAULT_WEIGHTS: Record<FaultKind, number> = {
  kill: 6,
  stop: 3,
  cut: 4,
  'cut-half': 4,
  refuse: 3,
  latency: 3,
  stall: 3,
  'lost-reply': 5,
  terminate: 5,
  deadlock: 8,
  restart: 1,
  lock: 6,
};
