import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/core';
import { type SqlEm, sql } from '../support/databases';
import { charge } from './database';
import type { Sabotage } from './options';
import type { Random } from './random';

const PROBABILITY = 0.2;

/** Breaks one promise on purpose, or none. */
export class Saboteur {
  constructor(
    private readonly orm: Pick<MikroORM, 'em'>,
    private readonly random: Random,
    private readonly sabotage: Sabotage | undefined,
    private readonly onSabotage: () => void = () => undefined,
  ) {}

  /** `double-charge`: the business write happens twice. */
  async inTransaction(em: SqlEm, row: Parameters<typeof charge>[1]): Promise<void> {
    if (this.strikes('double-charge')) await charge(em, row);
  }

  /** `lost-step`: a checkpoint that was acknowledged disappears. `stuck-run`: the run never goes on. */
  async afterStep(run: string, step: string): Promise<void> {
    if (this.strikes('lost-step')) {
      const text = 'delete from durable_step_checkpoints where run_id = ? and name = ?';
      await sql(this.orm)
        .execute(text, [run, step], 'run')
        .catch(() => undefined);
    }
    if (this.strikes('stuck-run')) await delay(2 ** 31 - 1);
  }

  private strikes(sabotage: Sabotage): boolean {
    const strikes = this.sabotage === sabotage && this.random.chance(PROBABILITY);
    if (strikes) this.onSabotage();
    return strikes;
  }
}
