import type { EngineSetting, Scenario } from '../scenario';
import { Expectation } from './expect';
import { fanOut } from './fan-out';

/**
 * A child that ends in one engine while the parent's turn in the other one goes to sleep is refused the parent's lease, and wakes nobody: the parent
 * looks again after this time. The engine does so on its own store, too.
 */
const LOOKS_AGAIN = () => ({ reconcileMs: 300 });
const ONE_STORE: readonly EngineSetting[] = [
  { name: 'a', options: LOOKS_AGAIN },
  { name: 'b', options: LOOKS_AGAIN },
];
const TWO_PROCESSES: readonly EngineSetting[] = [
  { name: 'a', options: LOOKS_AGAIN },
  { name: 'b', process: 1, options: LOOKS_AGAIN },
];

/** An engine that executes what its polls find, and nothing at once. */
const WORKER = () => ({ runDispatcher: { dispatch: () => undefined } });

const busyPoll: Scenario = {
  name: 'a busy process does not execute again what another one has brought to rest since it was listed',
  engines: [
    { name: 'a', polls: false, options: WORKER },
    { name: 'b', process: 1, polls: false, options: WORKER },
  ],
  register(engine, world) {
    engine.register('slow', '1', (ctx) =>
      ctx.localStep('work', async () => {
        world.ledger.did(`work ${ctx.runId}`);
        await world.gate.passed;
      }),
    );
    engine.register('pay', '1', (ctx) =>
      ctx.localStep('charge', async () => {
        world.ledger.did(`charge ${ctx.runId}`);
        throw new Error('card refused');
      }),
    );
  },
  async drive(world) {
    const [a, b] = [world.engine('a'), world.engine('b')];
    await a.start('slow', {}, 'slow');
    await world.until('time has passed', async () => Date.now() > ((await a.getRun('slow'))?.createdAt.getTime() ?? 0));
    await a.start('pay', {}, 'pay');
    const waiting = a.waitForRun('pay', { until: 'terminal' });
    world.startPolling('a');
    await world.until('a is busy', async () => world.ledger.times('work slow') > 0);
    await b.runOne('pay');
    await waiting;
    await a.getRun('pay');
    world.gate.open();
    await world.untilEnded(2);
  },
  expected: () =>
    new Expectation().completed('slow').ended('pay', 'failed: card refused').does('work slow').does('charge pay'),
  referenceRepeats: { charge: 'a poll executes whatever it has listed, also when it has failed meanwhile' },
};

export const engineScenarios: readonly Scenario[] = [
  fanOut('two engines on one store object share ten parents of five children', 10, 5, ONE_STORE),
  fanOut('two processes share ten parents of five children', 10, 5, TWO_PROCESSES),
  busyPoll,
];
