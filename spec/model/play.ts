import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import type { MikroOrmStateStore } from '../../lib';
import { answer, type Call, call, METHODS, type Method, ROW_METHODS } from './calls';
import type { ContractModel } from './contract-model';
import { vocabulary } from './hostile';

/** Calls made one after the other, or several at once. */
export type Step = readonly Call[];

/**
 * Random sequences over a few words: mostly single calls, now and then a burst. Each sequence keeps to some of the
 * methods, because what few methods do to each other is seldom seen when all of them take turns.
 */
export const sequence: fc.Arbitrary<Step[]> = fc
  .tuple(vocabulary, fc.shuffledSubarray(METHODS, { minLength: 4, maxLength: 10 }))
  .chain(([words, some]) => {
    const methods: Method[] = ['createRun', ...some];
    const rows = methods.filter((method) => ROW_METHODS.includes(method));
    return fc.array(
      fc.oneof(
        { weight: 5, arbitrary: call(words, methods).map((one) => [one]) },
        { weight: 1, arbitrary: fc.array(call(words, rows), { minLength: 2, maxLength: 4 }) },
      ),
      { minLength: 8, maxLength: 24, size: 'max' },
    );
  });

/**
 * Play a sequence on stores of one database and on the model. Calls made at once must have answers that some order of
 * them has; the models of all orders that explain what was seen go on.
 */
export async function play(stores: readonly MikroOrmStateStore[], empty: ContractModel, steps: Step[]): Promise<void> {
  let models = [empty];
  for (const [n, step] of steps.entries()) {
    const answers = await Promise.all(
      step.map((one, position) => answer(stores[(n + position) % stores.length] as MikroOrmStateStore, one)),
    );
    const inTurn = orders(step.length);
    const explained = models.flatMap((model) =>
      inTurn.flatMap((order) =>
        [false, true].flatMap((remembers) => explaining(model, step, order, remembers, answers)),
      ),
    );
    // Shows what the model gives in the order of the calls; the assertion fails because no order gives what was seen.
    if (explained.length === 0) {
      const model = (models[0] as ContractModel).clone();
      deepStrictEqual({ step, answers }, { step, answers: step.map((one) => expected(model, one)) });
    }
    models = [...new Map(explained.map((model) => [model.fingerprint(), model])).values()];
  }
}

/** The model after the calls in this order, if they are answered as was seen. */
function explaining(
  before: ContractModel,
  step: Step,
  order: readonly number[],
  remembers: boolean,
  seen: readonly string[],
): ContractModel[] {
  const model = before.clone();
  model.remembers = remembers;
  return order.every((position) => expected(model, step[position] as Call) === seen[position]) ? [model] : [];
}

function expected(model: ContractModel, { method, scope, args }: Call): string {
  const run = model[method] as (scope: string | undefined, ...given: unknown[]) => unknown;
  try {
    return JSON.stringify(run.call(model, scope, ...args)) ?? 'undefined';
  } catch (error) {
    if ((error as Error).name.startsWith('Durable')) return (error as Error).name;
    throw error;
  }
}

/** Every order of so many things. */
function orders(count: number): number[][] {
  if (count === 0) return [[]];
  return orders(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => [...order.slice(0, at), count - 1, ...order.slice(at)]),
  );
}
