/** Stable codes of the errors this library throws. Messages may change; codes do not. */
export type DurableErrorCode =
  | 'DURABLE_ENTITIES_NOT_REGISTERED'
  | 'DURABLE_TABLES_SKIPPED'
  | 'DURABLE_UNSUPPORTED_DATABASE'
  | 'DURABLE_UNSUPPORTED_SQL_MODE'
  | 'DURABLE_UNSUPPORTED_SETTING'
  | 'DURABLE_UNSUPPORTED_SCHEMA'
  | 'DURABLE_MISSING_GRANT'
  | 'DURABLE_CANNOT_LISTEN'
  | 'DURABLE_VALUE_TOO_LONG'
  | 'DURABLE_INVALID_TEXT'
  | 'DURABLE_INVALID_NUMBER'
  | 'DURABLE_INVALID_DATE'
  | 'DURABLE_INVALID_PAYLOAD'
  | 'DURABLE_INVALID_QUERY'
  | 'DURABLE_RUN_NOT_FOUND'
  | 'DURABLE_UNREADABLE_ROW'
  | 'DURABLE_SCHEMA_MISSING'
  | 'DURABLE_SCHEMA_INCOMPATIBLE'
  | 'DURABLE_SCHEMA_LOCKED'
  | 'DURABLE_WOULD_DEADLOCK'
  | 'DURABLE_TRANSACTION_REQUIRED'
  | 'DURABLE_STEP_SUPERSEDED'
  | 'DURABLE_ORM_CLOSED'
  | 'DURABLE_DATABASE_ERROR';

/** Base class of every error of this library. Facts are fields; no message or cause carries payloads or SQL values. */
export class DurableStoreError extends Error {
  constructor(
    readonly code: DurableErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/**
 * The host's set-up cannot work: entities missing from the ORM, tables that its migrations would drop, an unsupported database,
 * server mode or setting, a missing right.
 */
export class DurableConfigurationError extends DurableStoreError {}

/** A value was refused before any SQL. Nothing was written. */
export class DurableInputError extends DurableStoreError {
  /** The contract's name of the field, e.g. `run.id` or `waiter.token`. */
  readonly field: string;
  /** For too long text: its length and the limit, in `unit`. */
  readonly length?: number;
  readonly limit?: number;
  readonly unit?: 'characters' | 'bytes';

  constructor(
    code: DurableErrorCode,
    field: string,
    problem: string,
    facts: { length?: number; limit?: number; unit?: 'characters' | 'bytes'; cause?: unknown } = {},
  ) {
    super(code, `${field} ${problem}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.field = field;
    if (facts.length !== undefined) this.length = facts.length;
    if (facts.limit !== undefined) this.limit = facts.limit;
    if (facts.unit !== undefined) this.unit = facts.unit;
  }
}

/** `updateRun` named a run that does not exist. */
export class DurableRunNotFoundError extends DurableStoreError {
  constructor(readonly runId: string) {
    super('DURABLE_RUN_NOT_FOUND', `run ${runId} not found`);
  }
}

/**
 * A stored value is none of its column's type (JSON that was cut off, a time that is none), or the store's codec cannot decode it.
 * The row is left as it is. Neither the message nor a field quotes the value.
 */
export class DurableRowError extends DurableStoreError {
  constructor(
    /** The table's name in the database. */
    readonly table: string,
    /** The column's name in the database. */
    readonly column: string,
    /**
     * Which row, by the contract's names: `{ id }` of a run, `{ runId, seq }` of a checkpoint, `{ token }` of a waiter,
     * `{ id, token }` of a buffered signal, with `eventId` of an event.
     */
    readonly key: Readonly<Record<string, string | number>>,
    problem: string,
  ) {
    const row = Object.entries(key).map(([name, value]) => `${name} is ${JSON.stringify(value)}`);
    super('DURABLE_UNREADABLE_ROW', `${table}.${column} cannot be read where ${row.join(' and ')}: it ${problem}`);
  }
}

/** The five tables are missing, of a shape the store cannot work on, or locked by others while they should be completed. */
export class DurableSchemaError extends DurableStoreError {
  /** What is wrong, one entry per table, column or index; of locked tables, who holds them, as far as this role may see. */
  readonly problems: readonly string[];
  /** The statements that add what is missing, where they are known; what `ensureSchema` would run. */
  readonly statements: readonly string[];

  constructor(
    code: 'DURABLE_SCHEMA_MISSING' | 'DURABLE_SCHEMA_INCOMPATIBLE' | 'DURABLE_SCHEMA_LOCKED',
    message: string,
    problems: readonly string[] = [],
    cause?: unknown,
    statements: readonly string[] = [],
  ) {
    super(code, message, cause === undefined ? undefined : { cause });
    this.problems = problems;
    this.statements = statements;
  }
}

/** A call that could only wait for itself, that needs a transaction it was not given, or whose step another execution completed. */
export class DurableTransactionError extends DurableStoreError {}

/** The host has closed the ORM. Nothing of the call was sent; the store works again when the ORM is connected again. */
export class DurableClosedError extends DurableStoreError {
  constructor(
    /** The store method, e.g. `saveCheckpoint`. */
    readonly operation: string,
    cause: Error,
  ) {
    super(
      'DURABLE_ORM_CLOSED',
      `${operation}: the ORM is closed; close it after the engine has drained and the store has settled`,
      { cause },
    );
  }
}

/**
 * The database refused or lost a statement, and retrying did not help or was not safe. `cause` keeps MikroORM's exception
 * class, the driver's code and the server's message, without SQL text and values.
 */
export class DurableDatabaseError extends DurableStoreError {
  constructor(
    /** The store method, e.g. `saveCheckpoint`. */
    readonly operation: string,
    /** How often it was tried. */
    readonly attempts: number,
    /** True for what passes by itself: deadlock, serialization failure, time limit, busy, no place, no connection. */
    readonly transient: boolean,
    /** True after a lost connection, or a commit that went wrong: whether the last try took effect is unknown. */
    readonly outcomeUnknown: boolean,
    cause: Error,
  ) {
    const tries = attempts === 1 ? '' : ` after ${attempts} attempts`;
    super('DURABLE_DATABASE_ERROR', `${operation} failed${tries}: ${cause.message}`, { cause });
  }
}
