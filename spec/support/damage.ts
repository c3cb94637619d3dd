import type { MikroORM } from '@mikro-orm/core';
import { type DatabaseKind, type SqlEm, sql, type TestDatabase } from './databases';

/** No message may quote it. */
export const SECRET = 'hunter2';

/** Text that is no JSON, cut off or mended by hand. MariaDB takes some of it for JSON. */
export const NO_JSON = [
  `{"${SECRET}":`,
  SECRET,
  '',
  `["${SECRET}"`,
  `{${SECRET}:1}`,
  `"${SECRET}\\x41"`,
  `["${SECRET}", 1.]`,
  `"${SECRET}\t"`,
  `{"${SECRET}":01}`,
];

/** JSON that a database may take for none. */
export const ODD_JSON: readonly unknown[] = [
  '\ud800',
  'a\u0000b',
  { 'e\u007f': 'line\u2028end' },
  -0.5e-7,
  '\\x41',
  '1.',
];

/** Puts into rows what no column of ours takes from the store. */
export class Damage {
  private constructor(
    private readonly kind: DatabaseKind,
    private readonly em: SqlEm,
  ) {}

  static async on(db: TestDatabase): Promise<Damage> {
    const orm: MikroORM = await db.open({ pool: { min: 1, max: 1 } });
    const damage = new Damage(db.kind, sql(orm));
    await damage.allow();
    return damage;
  }

  /** Write a raw value. */
  async put(table: string, column: string, value: string | number | null, where: string): Promise<void> {
    await this.em.execute(`update durable_${table} set ${column} = ? where ${where}`, [value], 'run');
  }

  /** What is no point in time. */
  get noTime(): string {
    return { sqlite: 'soon', postgresql: 'infinity', mysql: '0000-00-00 00:00:00' }[this.kind.family];
  }

  /** Columns of JSON become text where the database minds what is in them, and MySQL's zero date is let in. */
  private async allow(): Promise<void> {
    if (this.kind.family === 'mysql') await this.em.execute("set session sql_mode = ''");
    if (this.kind.family !== 'postgresql') return;
    const payloads = {
      workflow_runs: ['input', 'output', 'error', 'search_attributes'],
      step_checkpoints: ['input', 'output', 'error', 'events'],
      buffered_signals: ['payload'],
    };
    for (const [table, columns] of Object.entries(payloads)) {
      const changes = columns.map((column) => `alter column ${column} type text`);
      await this.em.execute(`alter table durable_${table} ${changes.join(', ')}`);
    }
  }
}
