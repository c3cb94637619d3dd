import { setImmediate as macrotask } from 'node:timers/promises';
import { InFlight } from '../lib/in-flight';
import { Gate, watch } from './support/concurrency';

const LONG = 60_000;

describe('calls under way', () => {
  it('delay nothing when there are none', async () => {
    const quiet = watch(new InFlight().quiet('run', LONG));
    await Promise.resolve();
    await Promise.resolve();
    expect(quiet.settled).toBe(true);
  });

  it('hold back the release of their run until they settle', async () => {
    const [flight, gate] = [new InFlight(), new Gate()];
    const call = flight.track('run', () => gate.passed);
    const released = flight.quiet('run', LONG);
    const quiet = watch(released);
    await macrotask();
    expect(quiet.settled).toBe(false);
    gate.open();
    await Promise.all([call, released]);
  });

  it('do not hold back another run', async () => {
    const [flight, gate] = [new InFlight(), new Gate()];
    const call = flight.track('run', () => gate.passed);
    await flight.quiet('other', LONG);
    gate.open();
    await call;
  });

  it('are all waited for, whichever ends first', async () => {
    const [flight, first, second] = [new InFlight(), new Gate(), new Gate()];
    const calls = [flight.track('run', () => first.passed), flight.track('run', () => second.passed)];
    const released = flight.quiet('run', LONG);
    const quiet = watch(released);
    second.open();
    await macrotask();
    expect(quiet.settled).toBe(false);
    first.open();
    await Promise.all([...calls, released]);
  });

  it('count when they follow on the heels of one another', async () => {
    const [flight, first, second] = [new InFlight(), new Gate(), new Gate()];
    const chain = flight.track('run', () => first.passed).then(() => flight.track('run', () => second.passed));
    const released = flight.quiet('run', LONG);
    const quiet = watch(released);
    first.open();
    for (let turn = 0; turn < 5; turn += 1) await macrotask();
    expect(quiet.settled).toBe(false);
    second.open();
    await Promise.all([chain, released]);
  });

  it('hold nobody back for longer than the bound', async () => {
    const [flight, gate] = [new InFlight(), new Gate()];
    const call = flight.track('run', () => gate.passed);
    await flight.quiet('run', 0);
    gate.open();
    await call;
  });

  it('hold nobody back once they failed, and fail their own caller', async () => {
    const flight = new InFlight();
    const call = flight.track('run', () => Promise.reject(new Error('no')));
    const released = flight.quiet('run', LONG);
    await expect(call).rejects.toThrow('no');
    await released;
  });

  it('give their result to their caller and are forgotten', async () => {
    const flight = new InFlight();
    expect(await flight.track('run', async () => 42)).toBe(42);
    const quiet = watch(flight.quiet('run', LONG));
    await Promise.resolve();
    await Promise.resolve();
    expect(quiet.settled).toBe(true);
  });

  it('count no call that never began', async () => {
    const flight = new InFlight();
    const broken = flight.track('run', () => {
      throw new Error('before it began');
    });
    await expect(broken).rejects.toThrow('before it began');
    await flight.quiet('run', LONG);
  });
});
