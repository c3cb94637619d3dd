import { type BenchDatabase, openSession } from '../databases';
import { GENERATORS } from './numbers';
import { seedStatements } from './statements';

const BATCH = 50_000;

/** Fill the tables with `runs` runs, ten checkpoints each, and everything a service leaves behind. */
export async function seed(target: BenchDatabase, runs: number, progress: (done: number) => void): Promise<void> {
  const session = openSession(target);
  const { before, after } = GENERATORS[target.database];
  try {
    for (const statement of before) await session.query(statement);
    for (let first = 1; first <= runs; first += BATCH) {
      const last = Math.min(first + BATCH - 1, runs);
      for (const statement of seedStatements(target.database, first, last, runs)) await session.query(statement);
      progress(last);
    }
    for (const statement of after) await session.query(statement);
  } finally {
    await session.close();
  }
}
