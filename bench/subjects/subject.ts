import type { StateStore } from '@dudousxd/nestjs-durable-core';

/** What is compared, in the order of the tables. */
export const SUBJECTS = ['upstream', 'ours', 'bare', 'memory'] as const;
export type SubjectName = (typeof SUBJECTS)[number];

/** How the subjects are called in tables and plots. */
export const LABELS: Readonly<Record<SubjectName, string>> = {
  ours: 'this library',
  bare: 'bare driver',
  upstream: 'nestjs-durable-store-mikro-orm',
  memory: 'in memory',
};

/** A store under measurement on a database of its own, tables included. */
export interface Subject {
  readonly name: SubjectName;
  readonly store: StateStore;
  close(): Promise<void>;
}

/** Connections each subject may open to a server. */
export const POOL_SIZE = 10;
