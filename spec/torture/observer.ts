import { setTimeout as delay } from 'node:timers/promises';
import { isWorkflowControlFlowSignal, type StepOptions, type WorkflowCtx } from '@dudousxd/nestjs-durable-core';
import type { SqlEm } from '../support/databases';
import { ACCOUNTS, charge } from './database';
import { describe, markTransactional } from './failure';
import type { Ledger } from './ledger';
import type { Random } from './random';
import type { Saboteur } from './saboteur';

/** A step's output: which of its executions it is of. */
export interface Executed {
  readonly execution: string;
}

/** Runs the steps of the workflows and keeps the ledger of what they did. */
export class Observer {
  private turns = 0;
  private executions = 0;
  private readonly turnOf = new WeakMap<WorkflowCtx, string>();

  constructor(
    private readonly ledger: Ledger,
    private readonly random: Random,
    private readonly saboteur: Saboteur,
  ) {}

  /** One call of a workflow's function, from its first line. */
  async turn<T>(ctx: WorkflowCtx, body: () => Promise<T>): Promise<T> {
    this.turns += 1;
    const turn = `${this.ledger.by}.t${this.turns}`;
    this.turnOf.set(ctx, turn);
    this.ledger.write({ kind: 'turn', run: ctx.runId, turn });
    try {
      return await body();
    } catch (error) {
      if (!isWorkflowControlFlowSignal(error)) {
        this.ledger.write({ kind: 'threw', run: ctx.runId, turn, failure: describe(error) });
      }
      throw error;
    }
  }

  /** A step at least once, whose work takes a time between the two given, in milliseconds. */
  step(ctx: WorkflowCtx, step: string, workMs: readonly [number, number], options?: StepOptions): Promise<Executed> {
    return this.executed(ctx, step, false, (begin) =>
      ctx.localStep(
        step,
        async () => {
          const output = begin();
          await delay(this.random.between(...workMs));
          return output;
        },
        options,
      ),
    );
  }

  /** A charge exactly once. */
  transaction(ctx: WorkflowCtx, step: string, n: number): Promise<Executed> {
    const account = n % ACCOUNTS;
    const work = (begin: () => Executed) => async (tx: unknown) => {
      const output = begin();
      const row = { run: ctx.runId, step, execution: output.execution, account };
      await charge(tx as SqlEm, row);
      await this.saboteur.inTransaction(tx as SqlEm, row);
      await delay(this.random.between(0, 15));
      return output;
    };
    return this.executed(ctx, step, true, (begin) =>
      ctx.transaction(step, work(begin)).catch((error) => {
        markTransactional(error);
        throw error;
      }),
    );
  }

  private async executed(
    ctx: WorkflowCtx,
    step: string,
    transaction: boolean,
    run: (begin: () => Executed) => Promise<Executed>,
  ): Promise<Executed> {
    const turn = this.turnOf.get(ctx) ?? '';
    const began = new Set<string>();
    const output = await run(() => {
      this.executions += 1;
      const execution = `${this.ledger.by}.e${this.executions}`;
      began.add(execution);
      this.ledger.write({ kind: 'began', run: ctx.runId, step, turn, execution, transaction });
      return { execution };
    });
    if (began.has(output.execution)) {
      const { execution } = output;
      this.ledger.write({ kind: 'acknowledged', run: ctx.runId, step, turn, execution });
      await this.saboteur.afterStep(ctx.runId, step);
    }
    return output;
  }
}
