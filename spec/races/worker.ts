/** A process that takes part in races. It does what its parent orders, and leaves with it. */
import { RacingProcess } from './contender';
import type { Order, RacerSettings, Report } from './message';
import { instant } from './order';
import type { Call, FailedCall } from './race';

const SPIN_MS = 1;

async function main(settings: RacerSettings): Promise<void> {
  const racer = await RacingProcess.start(settings);
  const obey = async (order: Order): Promise<void> => {
    switch (order.what) {
      case 'prepare':
        await racer.prepare(order);
        return report({ what: 'ready' });
      case 'go': {
        await until(order.at);
        const outcomes = await Promise.all(racer.calls.map((n) => attempt(n, () => racer.call(n))));
        const answered = outcomes.filter((outcome) => 'answer' in outcome);
        const failed = outcomes.filter((outcome) => 'error' in outcome);
        await racer.goHome();
        return report({ what: 'done', answered, failed });
      }
      case 'leave':
        await racer.stop();
        return process.disconnect();
    }
  };
  process.on('message', (order: Order) => {
    obey(order).catch((error) => report({ what: 'trouble', error: textOf(error) }));
  });
  process.on('disconnect', () => process.exit());
  report({ what: 'ready' });
}

/** Wait for an instant of the shared clock; the last bit without giving up the processor. */
async function until(at: number): Promise<void> {
  while (instant() < at - SPIN_MS) await new Promise((resolve) => setImmediate(resolve));
  while (instant() < at);
}

async function attempt(n: number, call: () => Promise<unknown>): Promise<Call | FailedCall> {
  const from = instant();
  try {
    const answer = await call();
    return { n, answer, from, to: instant() };
  } catch (error) {
    return { n, error: textOf(error), from, to: instant() };
  }
}

function textOf(error: unknown): string {
  const { name, message, cause } = error as Error;
  return `${name}: ${message}${cause ? ` (${textOf(cause)})` : ''}`;
}

function report(report: Report): void {
  // The callback takes the error of a parent that is gone.
  if (process.connected) process.send?.(report, () => undefined);
}

main(JSON.parse(process.env.RACER ?? '{}') as RacerSettings).catch((error) => {
  report({ what: 'trouble', error: textOf(error) });
  process.disconnect();
});
