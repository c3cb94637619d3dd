import { setImmediate as macrotask } from 'node:timers/promises';
import type { WorkflowRun } from '../lib';
import { LeaseGuards } from '../lib/lease-guards';
import { Gate, watch } from './support/concurrency';
import { aRun } from './support/fixtures';

const LONG = 60_000;

/** What a store's guards do, with calls that go on when the test says so. */
class World {
  readonly guards = new LeaseGuards();
  readonly freed: (readonly string[] | undefined)[] = [];

  release(runId = 'run', boundMs = LONG): Promise<void> {
    return this.guards.release(runId, boundMs, async (owners) => void this.freed.push(owners));
  }

  /** A call under way, and what lets it end. */
  write(runId = 'run'): { done: Promise<unknown>; gate: Gate } {
    const gate = new Gate();
    return { done: this.guards.write(runId, () => gate.passed), gate };
  }

  read(runId = 'run'): { done: Promise<WorkflowRun | null>; gate: Gate } {
    const gate = new Gate();
    return { done: this.guards.read(runId, () => gate.passed.then(() => aRun({ id: runId }))), gate };
  }

  lease(owner: string, runId = 'run'): Promise<boolean> {
    return this.guards.claim({ runId, owner, nowMs: 0 }, async () => true);
  }
}

/** Let everything that can go on go on. */
async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await macrotask();
}

describe('a release', () => {
  it('goes at once when no call of the run is under way', async () => {
    const world = new World();
    const other = world.write('other');
    await world.release();
    expect(world.freed).toHaveLength(1);
    other.gate.open();
    await other.done;
  });

  it('waits for all calls under way, whichever ends first, and whether they fail', async () => {
    const world = new World();
    const [first, second] = [world.write(), world.read()];
    const failing = world.guards.write('run', () => Promise.reject(new Error('no'))).catch(() => 'failed');
    const released = world.release();
    second.gate.open();
    await turns();
    expect(world.freed).toEqual([]);
    first.gate.open();
    await Promise.all([released, first.done, second.done, failing]);
    expect(world.freed).toHaveLength(1);
  });

  it('waits for the write that follows on the heels of the read it was asked for with', async () => {
    const world = new World();
    const [read, last] = [world.read(), new Gate()];
    const written = read.done.then(() => world.guards.write('run', () => last.passed));
    const released = world.release();
    read.gate.open();
    await turns();
    expect(world.freed).toEqual([]);
    last.open();
    await Promise.all([written, released]);
    expect(world.freed).toHaveLength(1);
  });

  it('waits for no reads that come later: a watched run is released as soon as any', async () => {
    const world = new World();
    const first = world.read();
    let watching = true;
    const look = () => world.guards.read('run', () => macrotask().then(() => null));
    // The next look begins before the last has ended.
    const watcher = (async () => {
      await first.done;
      for (let last = look(), next = look(); watching; [last, next] = [next, look()]) await last;
    })();
    const released = watch(world.release());
    first.gate.open();
    await turns(20);
    expect(released.settled).toBe(true);
    expect(world.freed).toHaveLength(1);
    watching = false;
    await watcher;
  });

  it('waits no longer than its bound, and for ever when there is none', async () => {
    const world = new World();
    const hanging = world.write();
    await world.release('run', 0);
    expect(world.freed).toHaveLength(1);
    const patient = watch(world.release('run', Number.POSITIVE_INFINITY));
    await turns();
    expect(patient.settled).toBe(false);
    hanging.gate.open();
    await turns();
    expect(patient.settled).toBe(true);
    await hanging.done;
  });

  it('is one with a release that is on its way, and waits for what is under way then', async () => {
    const world = new World();
    const first = world.write();
    const released = world.release();
    const second = world.write();
    const again = world.release();
    first.gate.open();
    await turns();
    expect(world.freed).toEqual([]);
    second.gate.open();
    await Promise.all([released, again, first.done, second.done]);
    expect(world.freed).toHaveLength(1);
  });

  it('is made again when it was asked for after the other had gone', async () => {
    const world = new World();
    await world.release();
    await world.release();
    expect(world.freed).toHaveLength(2);
  });
});

describe('a call for a run whose release is on its way', () => {
  it.each([
    ['read', (world: World) => world.guards.read('run', async () => null)],
    ['claim', (world: World) => world.lease('next')],
  ])('comes after it: a %s', async (_what, call) => {
    const world = new World();
    const write = world.write();
    const released = world.release();
    const later = watch(call(world));
    await turns();
    expect(later.settled).toBe(false);
    write.gate.open();
    await Promise.all([released, write.done]);
    await turns();
    expect(later.settled).toBe(true);
  });

  it('of another run does not', async () => {
    const world = new World();
    const write = world.write();
    const released = world.release();
    await world.guards.read('other', async () => null);
    await world.lease('next', 'other');
    write.gate.open();
    await Promise.all([released, write.done]);
  });

  it('goes on when the release has failed', async () => {
    const guards = new LeaseGuards();
    const released = guards.release('run', LONG, () => Promise.reject(new Error('no connection')));
    const read = guards.read('run', async () => null);
    await expect(released).rejects.toThrow('no connection');
    expect(await read).toBeNull();
  });
});

describe('whose lease a release frees', () => {
  it('is that of the engine which won it', async () => {
    const world = new World();
    await world.lease('me');
    expect(world.guards.resumer('run')).toBe('me');
    await world.release();
    expect(world.freed).toEqual([['me']]);
    expect(world.guards.resumer('run')).toBeUndefined();
  });

  it('of two engines on one store first the one that won first: its lease is over', async () => {
    const world = new World();
    await world.lease('stalled');
    await world.lease('next');
    expect(world.guards.resumer('run')).toBe('next');
    await world.release();
    await world.release();
    expect(world.freed).toEqual([['stalled'], ['next']]);
  });

  it('counts a lease that its engine won again once', async () => {
    const world = new World();
    await world.lease('me');
    await world.lease('me');
    await world.release();
    expect(world.guards.resumer('run')).toBeUndefined();
  });

  it('is its own engines` for a turn that took no lease, and anybody`s for a store without engines', async () => {
    const world = new World();
    await world.release();
    await world.lease('me', 'another run');
    await world.release();
    expect(world.freed).toEqual([undefined, ['me']]);
  });

  it('is remembered for ten thousand runs', async () => {
    const world = new World();
    for (let run = 0; run <= 10_000; run += 1) await world.lease('me', `run ${run}`);
    expect(world.guards.resumer('run 0')).toBeUndefined();
    expect(world.guards.resumer('run 1')).toBe('me');
  });
});

describe('a listing', () => {
  const claimed = async (guards: LeaseGuards, nowMs = 0, won = false) => {
    let as: unknown;
    await guards.claim({ runId: 'run', owner: 'me', nowMs }, async (listedAs) => {
      as = listedAs;
      return won;
    });
    return as;
  };
  const listed = [aRun({ id: 'run' })];

  it('binds the first lease that is asked for it', async () => {
    const guards = new LeaseGuards();
    guards.listed('active', listed);
    expect([await claimed(guards), await claimed(guards)]).toEqual(['active', undefined]);
  });

  it('binds one lease for each listing, the newest first', async () => {
    const guards = new LeaseGuards();
    guards.listed('active', listed);
    guards.listed({ dueAtMs: 5 }, listed);
    expect([await claimed(guards), await claimed(guards)]).toEqual([{ dueAtMs: 5 }, 'active']);
  });

  it('does not bind whoever has just read the run, and is not used up by that', async () => {
    const guards = new LeaseGuards();
    guards.listed('active', listed);
    await guards.read('run', async () => aRun({ id: 'run', status: 'suspended' }));
    expect(await claimed(guards)).toBeUndefined();
    await macrotask();
    expect(await claimed(guards)).toBe('active');
  });

  it('binds whoever asks once the callbacks of that read have run, before any other answer comes', async () => {
    const guards = new LeaseGuards();
    guards.listed('active', listed);
    await guards.read('run', async () => aRun({ id: 'run', status: 'failed' }));
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(await claimed(guards)).toBe('active');
  });

  it.each(['pending', 'running', 'cancelling'] as const)(
    'binds whoever has just read the run as %s',
    async (status) => {
      const guards = new LeaseGuards();
      guards.listed('active', listed);
      await guards.read('run', async () => aRun({ id: 'run', status }));
      expect(await claimed(guards)).toBe('active');
    },
  );

  it('still binds the poll that made it when somebody else has won the lease since', async () => {
    const guards = new LeaseGuards();
    guards.listed('active', listed);
    const answers = [await claimed(guards, 7, true), await claimed(guards, 5), await claimed(guards, 5)];
    expect(answers).toEqual(['active', 'active', undefined]);
  });

  it('binds nobody who asks later than the lease that was won for it', async () => {
    const guards = new LeaseGuards();
    guards.listed('active', listed);
    expect([await claimed(guards, 7, true), await claimed(guards, 8)]).toEqual(['active', undefined]);
  });

  it('is remembered until 32 came after it', async () => {
    const guards = new LeaseGuards();
    guards.listed('active', listed);
    for (let n = 0; n < 31; n += 1) guards.listed('active', [aRun()]);
    expect(await claimed(guards)).toBe('active');
    guards.listed('active', listed);
    for (let n = 0; n < 32; n += 1) guards.listed('active', [aRun()]);
    expect(await claimed(guards)).toBeUndefined();
  });
});
