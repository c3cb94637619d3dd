import type { MikroORM } from '@mikro-orm/core';
import type { MikroOrmStateStore, MikroOrmStateStoreOptions } from '../../lib';
import type { DatabaseKind } from '../support/databases';

/**
 * What a store does beyond the engine's in-memory reference. A case that needs more than a subject declares shows as
 * skipped there, and nowhere else.
 */
export const CAPABILITIES = [
  /** Creating a run that exists changes nothing. */
  'createIfAbsent',
  /** A patch cannot change the id, clear what is mandatory, add unknown keys or remove the namespace. */
  'patchRules',
  /** Payloads are JSON: what JSON drops is dropped, and stored values are nobody's objects. */
  'json',
  /** Input that cannot be stored is refused by name before anything is written. */
  'validates',
  /** Instants are whole milliseconds inside the database's range. */
  'instantRange',
  /** Every list has one total order. */
  'totalOrder',
  /** Text compares by code point, not by UTF-16 unit. */
  'codePointOrder',
  /** Runs that have ended for good are not leased. */
  'terminalGuard',
  /** Queries of engines after 0.62: `origin`, any-of lists, `in`. */
  'laterQueries',
  'facets',
  'retention',
  'scope',
  'rollback',
  /** A database behind it, with connections of their own for several stores. */
  'database',
  /** The ORM has more than one connection, and the database says who waits for whom. */
  'pool',
  /** Who waits for a row holds back no insert beside it. */
  'rowLocks',
  /** Others may change what a transaction of the host has read before that one ends, and it may go on. */
  'changesBehindReads',
  /** The host may configure its driver to count rows that changed instead of rows that matched. */
  'changedRows',
] as const;

export type Capability = (typeof CAPABILITIES)[number];

/** A store under test. Its members are there once the suite's `beforeAll` has run. */
export interface Subject {
  readonly capabilities: ReadonlySet<Capability>;
  readonly store: MikroOrmStateStore;
  /** What its stores were made with. */
  readonly options?: MikroOrmStateStoreOptions | undefined;
  /** Stores on the same database, each on an ORM and connections of its own. */
  readonly peers: readonly MikroOrmStateStore[];
  readonly orm: MikroORM;
  readonly kind: DatabaseKind;
  /** Another ORM on the same database, closed with the suite. */
  open(options?: object): Promise<MikroORM>;
  /** Remove all rows of ours. */
  clear(): Promise<void>;
}

/** `it` for a case that needs `capabilities`; the only place that skips. */
export function needs(subject: Subject, ...capabilities: Capability[]): jest.It {
  return capabilities.every((capability) => subject.capabilities.has(capability)) ? it : it.skip;
}

/** `describe` for a group of such cases. */
export function groupNeeds(subject: Subject, ...capabilities: Capability[]): jest.Describe {
  return capabilities.every((capability) => subject.capabilities.has(capability)) ? describe : describe.skip;
}
