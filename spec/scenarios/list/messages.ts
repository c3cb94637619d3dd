import { setImmediate as macrotask } from 'node:timers/promises';
import type { Scenario } from '../scenario';
import type { World } from '../world';
import { Expectation, ids, range } from './expect';

const SENDERS = 5;
const EACH = 10;
const MESSAGES = SENDERS * EACH;

/** Every sender sends its messages one after the other, all senders at once. */
async function send(deliver: (message: string) => Promise<unknown>): Promise<void> {
  await Promise.all(
    range(SENDERS).map(async (sender) => {
      for (const n of range(EACH)) await deliver(`${sender}.${n}`);
    }),
  );
}

const ALL = range(SENDERS).flatMap((sender) => range(EACH).map((n) => `${sender}.${n}`));

const loop: Scenario = {
  name: 'a run that waits for one signal after another receives fifty messages of five senders, each once',
  register(engine, world) {
    engine.register('inbox', '1', async (ctx) => {
      const received: string[] = [];
      for (const n of range(MESSAGES)) {
        const message = await ctx.waitForSignal<string>('inbox');
        await ctx.localStep(`apply:${n}`, async () => void world.ledger.did(`apply ${message}`));
        received.push(message);
      }
      return received.sort();
    });
  },
  async drive(world) {
    await world.engine().start('inbox', {}, 'inbox');
    await send((message) => world.engine().signal('inbox', message));
    await world.untilEnded(1);
  },
  expected() {
    const expected = new Expectation().completed('inbox', [...ALL].sort());
    for (const message of ALL) expected.does(`apply ${message}`);
    return expected;
  },
};

const entity: Scenario = {
  name: 'an entity applies fifty operations of five senders, each once',
  register(engine, world) {
    engine.registerEntity<number>('account', {
      initialState: () => 0,
      handlers: {
        add: (balance, message) => {
          world.ledger.did(`apply ${message}`);
          return balance + 1;
        },
      },
    });
  },
  async drive(world) {
    const engine = world.engine();
    await send((message) => engine.signalEntity('account', 'savings', 'add', message));
    await world.until('every operation is applied', async () =>
      ALL.every((id) => world.ledger.times(`apply ${id}`) > 0),
    );
  },
  expected() {
    const expected = new Expectation().ended('entity:account:savings', 'suspended');
    for (const message of ALL) expected.does(`apply ${message}`);
    return expected;
  },
};

const BATCH = 10;

const accumulator: Scenario = {
  name: 'events that are gathered into batches reach the target once each',
  register(engine, world) {
    engine.register(
      'report',
      '1',
      (ctx, input) =>
        ctx.localStep('write', async () => {
          for (const event of (input as { events: string[] }).events) world.ledger.did(`write ${event}`);
        }),
      { onEvent: ['measured'], eventBatch: { mode: 'batch', maxSize: BATCH, windowMs: 400 } },
    );
  },
  async drive(world) {
    await send((message) => world.engine().publishEvent('measured', message));
    await world.until('every event is written', async () => ALL.every((id) => world.ledger.times(`write ${id}`) > 0));
  },
  judge: ({ did }) =>
    ALL.filter((id) => did[`write ${id}`] !== 1).map((id) => `${id} is written ${did[`write ${id}`]} times`),
};

const LISTENERS = ids('listener', 12);
const TOPICS = 3;

const events: Scenario = {
  name: 'an event resumes each run it matches and no other, and starts each subscriber once',
  register(engine, world) {
    engine.register('listener', '1', async (ctx, input) => {
      const { topic } = input as { topic: number };
      const event = await ctx.waitForEvent<{ text: string }>('news', { match: { topic } });
      await ctx.transaction('read', (raw) => world.stage.book(raw, `read ${ctx.runId}`));
      return event.text;
    });
    engine.register(
      'archive',
      '1',
      (ctx, input) =>
        ctx.localStep('store', async () => {
          world.ledger.did(`store ${ctx.runId}`);
          return (input as { text: string }).text;
        }),
      { onEvent: ['published'] },
    );
  },
  async drive(world) {
    const engine = world.engine();
    for (const [n, id] of LISTENERS.entries()) await engine.start('listener', { topic: n % TOPICS }, id);
    await world.untilStatus('suspended', LISTENERS);
    await Promise.all(range(TOPICS).map((topic) => engine.publishEvent('news', { topic, text: `news ${topic}` })));
    await Promise.all(range(4).map(() => engine.publishEvent('published', { text: 'one edition' }, { id: 'edition' })));
    await world.untilEnded(LISTENERS.length + 1);
  },
  expected() {
    const expected = new Expectation();
    for (const [n, id] of LISTENERS.entries()) expected.completed(id, `news ${n % TOPICS}`).books(`read ${id}`);
    return expected.completed('evt:edition:archive', 'one edition').does('store evt:edition:archive');
  },
};

const LATE = ids('late', 8);
const EARLY = ids('text', 3);

const bufferedEvents: Scenario = {
  name: 'events that nobody waited for go to one each of those who come later',
  register(engine, world) {
    engine.register('listener', '1', async (ctx) => {
      const event = await ctx.waitForEvent<{ text: string }>('news', { match: { topic: 1 } });
      await ctx.transaction('read', (raw) => world.stage.book(raw, `read ${event.text}`));
      return event.text;
    });
  },
  async drive(world) {
    const engine = world.engine();
    for (const text of EARLY) await engine.publishEvent('news', { topic: 1, text });
    await Promise.all(LATE.map((id) => engine.start('listener', {}, id)));
    const count = async (status: string) => (await world.runs()).filter((run) => run.status === status).length;
    await world.until('as many have completed as there are events', async () => {
      return (await count('completed')) === EARLY.length && (await count('suspended')) === LATE.length - EARLY.length;
    });
  },
  judge({ runs, booked }) {
    const due = [...EARLY.map((text) => `completed "${text}"`), ...LATE.slice(EARLY.length).map(() => 'suspended')];
    const readOnce = EARLY.every((text) => booked[`read ${text}`] === 1);
    const right = Object.values(runs).sort().join() === due.sort().join() && readOnce;
    return right ? [] : [`late listeners: ${Object.values(runs).join('; ')}, read ${JSON.stringify(booked)}`];
  },
};

const SLEEPERS = ids('sleeper', 24);
const LIMIT_MS = 3_600_000;
const LEASED = () => ({ leaseMs: 3 * LIMIT_MS });

const meetsSuspension: Scenario = {
  name: 'a signal that meets the suspension of its run is worked on by one process, whatever the other finds due meanwhile',
  engines: [
    { name: 'a', options: LEASED },
    { name: 'b', process: 1, options: LEASED },
  ],
  register(engine, world, name) {
    engine.register('sleeper', '1', async (ctx) => {
      const message = await ctx.waitForSignal(`wake:${ctx.runId}`, { timeoutMs: LIMIT_MS });
      await ctx.localStep('answer', async () => {
        world.ledger.did(`answer ${ctx.runId}`);
        world.ledger.did(`${name} ${ctx.runId}`);
        if (!world.hasSkipped) await world.gate.passed;
      });
      return message;
    });
  },
  async drive(world) {
    const engine = world.engine();
    const sent = new Set<string>();
    world.onCall((method, [runId, patch]) => {
      const id = String(runId);
      if (method !== 'updateRun' || (patch as { status?: string }).status !== 'suspended' || sent.has(id)) return;
      sent.add(id);
      void wakeAfter(world, id, SLEEPERS.indexOf(id) % 8);
    });
    for (const id of SLEEPERS) await engine.start('sleeper', {}, id);
    await world.until('all signals are sent', async () => sent.size === SLEEPERS.length);
    await world.afterPolls('a', 5);
    // The time limits of the waits have passed, the leases have not.
    world.skip(LIMIT_MS);
    await world.afterPolls('b', 3);
    world.gate.open();
    await world.untilEnded(SLEEPERS.length);
  },
  judge: ({ runs, did }) =>
    SLEEPERS.flatMap((id) => {
      const by = ['a', 'b'].filter((name) => did[`${name} ${id}`]);
      return runs[id] === `completed "${id}"` && by.length === 1 ? [] : [`${id}: ${runs[id]}, by ${by.join(' and ')}`];
    }),
};

async function wakeAfter(world: World, id: string, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await macrotask();
  await world.engine().signal(`wake:${id}`, id);
}

export const messages: readonly Scenario[] = [loop, entity, accumulator, events, bufferedEvents, meetsSuspension];
