import type { WorkflowCtx, WorkflowEngine } from '@dudousxd/nestjs-durable-core';
import type { Ledger } from '../ledger';
import type { EngineSetting, Scenario } from '../scenario';
import type { Stage } from '../stage';
import type { World } from '../world';
import { Expectation, ids, range } from './expect';

/** The token of a child's end: `ctx.all` waits again for the children that its next turn finds running. */
export const AWAITED_CHILD = 'child:';

export const AFTER_FAN_OUT =
  'children that end together each wake their parent, and the engine runs those turns side by side';

/** What the steps of a family need of the world round them. */
export interface Business {
  readonly ledger: Pick<Ledger, 'did'>;
  readonly stage: Pick<Stage, 'book'>;
}

/** Parents that await some quick children, then send a notice and charge. */
export function family(engine: WorkflowEngine, world: Business): void {
  engine.register('child', '1', async (ctx, input) => {
    const { n } = input as { n: number };
    return ctx.localStep('work', async () => {
      world.ledger.did(`work ${ctx.runId}`);
      return n * n;
    });
  });
  engine.register('parent', '1', async (ctx, input) => {
    const squares = await ctx.all<number>(
      'child',
      range((input as { children: number }).children).map((n) => ({ n })),
    );
    return settle(ctx, world, squares);
  });
}

/** Add up, say so and charge. */
async function settle(ctx: WorkflowCtx, world: Business, parts: readonly number[]): Promise<number> {
  await ctx.localStep('notify', async () => void world.ledger.did(`notify ${ctx.runId}`));
  return ctx.transaction('charge', async (raw) => {
    await world.stage.book(raw, `charge ${ctx.runId}`);
    return parts.reduce((sum, part) => sum + part, 0);
  });
}

export async function startParents(world: World, parents: readonly string[], children: number): Promise<void> {
  const { names } = world;
  await Promise.all(parents.map((id, n) => world.engine(names[n % names.length]).start('parent', { children }, id)));
  await world.untilEnded(parents.length * (children + 1));
}

export function familyExpectation(parents: readonly string[], children: number): Expectation {
  const expected = new Expectation();
  for (const id of parents) {
    const squares = range(children).map((n) => n * n);
    for (const n of range(children)) expected.completed(`${id}.all.0.${n}`, squares[n]).does(`work ${id}.all.0.${n}`);
    expected.completed(
      id,
      squares.reduce((sum, square) => sum + square, 0),
    );
    expected.does(`notify ${id}`).books(`charge ${id}`);
  }
  return expected;
}

export function fanOut(name: string, parents: number, children: number, engines?: readonly EngineSetting[]): Scenario {
  const of = ids('parent', parents);
  return {
    name,
    ...(engines ? { engines } : {}),
    register: family,
    drive: (world) => startParents(world, of, children),
    expected: () => familyExpectation(of, children),
    repeats: { notify: AFTER_FAN_OUT },
    referenceRepeats: { charge: AFTER_FAN_OUT },
    leaves: [AWAITED_CHILD],
  };
}

const ROOTS = 5;
const BRANCHES = 3;

const nested: Scenario = {
  name: 'parents of three parents of three children each complete',
  register(engine, world) {
    family(engine, world);
    engine.register('root', '1', async (ctx) => {
      const branches = range(BRANCHES).map(() => ({ children: BRANCHES }));
      return settle(ctx, world, await ctx.all<number>('parent', branches));
    });
  },
  async drive(world) {
    await Promise.all(ids('root', ROOTS).map((id) => world.engine().start('root', {}, id)));
    await world.untilEnded(ROOTS * (1 + BRANCHES + BRANCHES * BRANCHES));
  },
  expected() {
    const roots = ids('root', ROOTS);
    const branches = roots.flatMap((id) => range(BRANCHES).map((n) => `${id}.all.0.${n}`));
    const expected = familyExpectation(branches, BRANCHES);
    for (const id of roots) expected.completed(id, 15).does(`notify ${id}`).books(`charge ${id}`);
    return expected;
  },
  repeats: { notify: AFTER_FAN_OUT },
  referenceRepeats: { charge: AFTER_FAN_OUT },
  leaves: [AWAITED_CHILD],
};

export const fanOuts: readonly Scenario[] = [
  fanOut('twenty parents of three quick children each complete', 20, 3),
  fanOut('ten parents of ten quick children each complete', 10, 10),
  fanOut('four parents of fifty quick children each complete', 4, 50),
  nested,
];
