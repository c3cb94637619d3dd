import { grouped, type History } from './history';
import type { Judgement } from './judge';
import type { StoredTables } from './tables';
import { waitOf } from './workflow';

/** How long after a take its process may die, or learn of its lost connection, for that to explain a lost message. */
const EXPLAINS_MS = 60_000;
const TAKES = new Set(['takeSignalWaiter', 'takeBufferedSignal', 'removeBufferedEvent']);

/** Every acknowledged signal and event was delivered, waits in the buffer, or was lost in the engine's two calls. */
export function judgeMessages(history: History, tables: StoredTables): Judgement {
  const violations: string[] = [];
  const counts = { delivered: 0, buffered: 0, replaced: 0, 'lost with a process or connection that took it': 0 };
  const stored = deliveredMessages(tables);
  const sent = history.all('sent');
  const index = indexed(history);
  for (const { wait, message, run } of sent) {
    if (stored.get(wait) === message) counts.delivered += 1;
    else if (tables.buffered.has(message)) counts.buffered += 1;
    else if (index.deliveries.get(wait)?.some((fact) => fact.message === message)) counts.replaced += 1;
    else if (index.lostTakes(wait)) counts['lost with a process or connection that took it'] += 1;
    else violations.push(`${run}: ${message} for ${wait} was acknowledged, and is nowhere`);
  }
  return {
    promise: 'every acknowledged signal and event is delivered or kept',
    checked: `${sent.length} messages`,
    violations,
    notes: Object.entries(counts).map(([what, n]) => `${n} ${what}`),
  };
}

/** By wait: the message that the run's checkpoint holds. */
function deliveredMessages({ checkpoints }: StoredTables): Map<string, string | undefined> {
  const messages = new Map<string, string | undefined>();
  for (const ofRun of checkpoints.values()) {
    for (const { name, output } of ofRun.values()) {
      const wait = waitOf(name);
      if (wait) messages.set(wait, output.message);
    }
  }
  return messages;
}

function indexed(history: History) {
  const deliveries = grouped(history.all('delivering'), ({ wait }) => wait);
  const takings = grouped(history.all('taking'), ({ wait }) => wait);
  const failures = [
    ...history.all('caught'),
    ...history.all('threw'),
    ...history.all('not-sent'),
    ...history.all('unhandled'),
  ];
  const lost = failures.filter(({ failure }) => failure.outcomeUnknown && TAKES.has(failure.operation ?? ''));
  const lostTakes = (wait: string): boolean =>
    (takings.get(wait) ?? []).some(({ by, at }) => {
      const gone = history.gone.get(by);
      const soon = (then: number) => then >= at && then - at < EXPLAINS_MS;
      return (gone && gone.how !== 'left' && soon(gone.at)) || lost.some((fact) => fact.by === by && soon(fact.at));
    });
  return { deliveries, lostTakes };
}
