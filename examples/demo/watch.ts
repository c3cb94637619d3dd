import { isWorkflowControlFlowSignal, type WorkflowCtx } from '@dudousxd/nestjs-durable-core';
import type { EntityManager } from '@mikro-orm/core';
import { StepLogEntity } from './shop';
import type { OrderWorkflow } from './workflow';

/** What a worker process tells its parent. */
export interface Report {
  /** Epoch milliseconds. */
  at: number;
  what: 'ready' | 'started' | 'executed' | 'replayed' | 'waiting' | 'signalled' | 'completed' | 'failed' | 'trouble';
  orderId?: string;
  step?: string;
  detail?: string;
}

export type Reporter = (report: Omit<Report, 'at'>) => void;

/**
 * The same workflow under observation, for the demo's timeline and verdict: who ran which step, and whether it ran or came
 * from its checkpoint. An application needs none of this.
 */
export function watched(workflow: OrderWorkflow, log: StepLog, report: Reporter): OrderWorkflow {
  return (ctx, input) => workflow(watchedCtx(ctx, log, report), input);
}

function watchedCtx(ctx: WorkflowCtx, log: StepLog, report: Reporter): WorkflowCtx {
  const orderId = ctx.runId;
  const observe = async <T>(
    step: string,
    run: (onStart: (tx?: unknown) => Promise<void>) => Promise<T>,
  ): Promise<T> => {
    let ran = false;
    const output = await run(async (tx) => {
      ran = true;
      await log.started(orderId, step, tx as EntityManager | undefined);
      report({ what: 'started', orderId, step });
    });
    if (ran) await log.acknowledged(orderId, step);
    report({ what: ran ? 'executed' : 'replayed', orderId, step });
    return output;
  };
  const overrides: Pick<WorkflowCtx, 'localStep' | 'transaction' | 'waitForSignal'> = {
    localStep: (step, body, options) =>
      observe(step, (onStart) => ctx.localStep(step, async (logger) => onStart().then(() => body(logger)), options)),
    transaction: (step, body) =>
      observe(step, (onStart) => ctx.transaction(step, async (tx) => onStart(tx).then(() => body(tx)))),
    waitForSignal: async <T>(token: string, options?: { timeoutMs?: number }) => {
      try {
        const payload = await ctx.waitForSignal<T>(token, options);
        report({ what: 'signalled', orderId, step: 'approval', detail: JSON.stringify(payload) });
        return payload;
      } catch (error) {
        if (isWorkflowControlFlowSignal(error)) report({ what: 'waiting', orderId, step: 'approval' });
        throw error;
      }
    },
  };
  return Object.assign(Object.create(ctx) as WorkflowCtx, overrides);
}

/** Rows from which it can be proved afterwards that no step ran again once its checkpoint was acknowledged. */
export class StepLog {
  constructor(
    private readonly em: EntityManager,
    private readonly worker: string,
  ) {}

  /** First thing in a step's body; in the body's own transaction where it has one, so that it is undone with it. */
  async started(orderId: string, step: string, tx: EntityManager = this.em.fork()): Promise<void> {
    await tx.insert(StepLogEntity, { orderId, step, entry: 'started', worker: this.worker });
  }

  /** The engine has the completed checkpoint: from here on the step must not run again. */
  async acknowledged(orderId: string, step: string): Promise<void> {
    const row = { orderId, step, entry: 'acknowledged' as const, worker: this.worker };
    // Outside a step an error would fail the run, and a missing row makes the proof weaker, not wrong.
    await this.em
      .fork()
      .insert(StepLogEntity, row)
      .catch(() => undefined);
  }
}
