import { DefaultLogger, type LogContext, type Options } from '@mikro-orm/core';

export interface LoggedStatement {
  readonly sql: string;
  /** What the log shows in brackets before the statement. */
  readonly label: string | undefined;
  readonly failed: boolean;
}

/** What an ORM sends to its database, from MikroORM's own query log. Begin and commit are statements too. */
export class QueryLog {
  private statements: LoggedStatement[] = [];

  /** ORM options that write to this log. */
  readonly options: Options = {
    debug: ['query'],
    loggerFactory: (options) => {
      const logger = new DefaultLogger({ ...options, writer: () => undefined });
      logger.logQuery = (context: { query: string } & LogContext) => {
        this.statements.push({ sql: context.query, label: context.label, failed: context.level === 'error' });
      };
      return logger;
    },
  };

  /** The statements since the last call. */
  take(): LoggedStatement[] {
    const taken = this.statements;
    this.statements = [];
    return taken;
  }

  /** The statements that `work` makes. */
  async of(work: () => Promise<unknown>): Promise<LoggedStatement[]> {
    this.take();
    await work();
    return this.take();
  }
}
