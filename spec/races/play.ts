import type { MikroORM } from '@mikro-orm/core';
import { MikroOrmStateStore } from '../../lib';
import { type DatabaseKind, TestDatabase } from '../support/databases';
import { Crowd } from './crowd';
import type { Arena, Race } from './race';

/** How much is played. */
export interface Size {
  readonly rounds: number;
  /** Competing calls of a round. */
  readonly calls: number;
  readonly processes: number;
}

/** What came of one race on one database. */
export interface Result extends Size {
  readonly kind: string;
  readonly race: string;
  readonly violations: readonly string[];
  /** Counts worth telling that are no violations. */
  readonly notes: ReadonlyMap<string, number>;
  readonly ms: number;
}

/** Play races on a fresh database of this kind, between processes that last for all of them. */
export async function play(
  kind: DatabaseKind,
  races: readonly Race[],
  size: Size,
  options: { readonly defective?: boolean; readonly onResult?: (result: Result) => void } = {},
): Promise<Result[]> {
  const db = await TestDatabase.create(kind);
  try {
    const orm = await db.openReady();
    const settings = { kind: kind.name, dbName: db.dbName, defective: options.defective ?? false };
    const crowd = await Crowd.start(size.processes, settings);
    const results: Result[] = [];
    try {
      for (const race of races) {
        results.push(await playRace({ kind, race, size, crowd, db, orm }));
        options.onResult?.(results.at(-1) as Result);
      }
    } finally {
      await crowd.stop();
    }
    return results;
  } finally {
    await db.drop();
  }
}

interface Match {
  readonly kind: DatabaseKind;
  readonly race: Race;
  readonly size: Size;
  readonly crowd: Crowd;
  readonly db: TestDatabase;
  readonly orm: MikroORM;
}

async function playRace({ kind, race, size, crowd, db, orm }: Match): Promise<Result> {
  const began = performance.now();
  const violations: string[] = [];
  const arena = new RaceArena(db, orm);
  for (let round = 1; round <= size.rounds; round += 1) {
    const plan = await race.prepare(arena, size);
    const { answered, failed } = await crowd.round(race.name, plan, size.calls);
    const found = [
      ...failed.map(({ n, error }) => `call ${n} failed: ${error}`),
      ...(await race.judge(arena, plan, answered)),
    ];
    violations.push(...found.map((what) => `round ${round}: ${what}`));
    await arena.tidy();
  }
  const { notes } = arena;
  return { ...size, kind: kind.name, race: race.name, violations, notes, ms: performance.now() - began };
}

class RaceArena implements Arena {
  readonly store: MikroOrmStateStore;
  readonly notes = new Map<string, number>();
  private readonly created: TestDatabase[] = [];

  constructor(
    readonly db: TestDatabase,
    readonly orm: MikroORM,
  ) {
    this.store = new MikroOrmStateStore(orm);
  }

  async emptyDatabase(): Promise<TestDatabase> {
    const created = await TestDatabase.create(this.db.kind);
    this.created.push(created);
    return created;
  }

  note(what: string, count: number): void {
    if (count > 0) this.notes.set(what, (this.notes.get(what) ?? 0) + count);
  }

  /** Remove the databases of a round. MySQL waits with that for whoever still uses one. */
  async tidy(): Promise<void> {
    await Promise.all(this.created.splice(0).map((created) => created.drop()));
  }
}
