import type { Options } from '@mikro-orm/core';

/** The statements an ORM sends, as its query log shows them. */
export class StatementLog {
  private entries: { label: string; sql: string }[] = [];

  /** Options that make an ORM write into this log. */
  readonly options: Options = {
    debug: ['query'],
    colors: false,
    logger: (message) => {
      const [, label = '', sql = ''] = /^\[query\] (?:\(([\w.]+)\) )?([\s\S]*?)(?: \[took .*)?$/.exec(message) ?? [];
      this.entries.push({ label, sql });
    },
  };

  /** Forget what was sent so far. */
  reset(): void {
    this.entries = [];
  }

  get statements(): readonly string[] {
    return this.entries.map(({ sql }) => sql);
  }

  get labels(): readonly string[] {
    return this.entries.map(({ label }) => label);
  }
}
