import { InMemoryStateStore } from '@dudousxd/nestjs-durable-core';
import { type BenchDatabase, createDatabase, dropDatabase, type Place } from '../databases';
import { openBare } from './bare';
import { openOurs } from './ours';
import { SUBJECTS, type Subject, type SubjectName } from './subject';
import { INSTALL_UPSTREAM, openUpstream, upstreamInstalled } from './upstream';

export { LABELS, POOL_SIZE, SUBJECTS, type Subject, type SubjectName } from './subject';

/** Open a store of this kind on a database. */
export async function openSubject(name: SubjectName, target: BenchDatabase): Promise<Subject> {
  switch (name) {
    case 'ours':
      return openOurs(target);
    case 'bare':
      return openBare(target);
    case 'upstream':
      return openUpstream(target);
    case 'memory':
      return { name, store: new InMemoryStateStore(), close: async () => undefined };
  }
}

/** The subjects that can be had. Says once what is left out. */
export function availableSubjects(): SubjectName[] {
  if (upstreamInstalled()) return [...SUBJECTS];
  console.log(`The existing adapter is left out; to include it: ${INSTALL_UPSTREAM}`);
  return SUBJECTS.filter((name) => name !== 'upstream');
}

/** Give `work` the subjects, each on a fresh database of its own, and remove the databases after it. */
export async function withSubjects<T>(
  place: Place,
  names: readonly SubjectName[],
  work: (subjects: Subject[]) => Promise<T>,
): Promise<T> {
  const targets: BenchDatabase[] = [];
  const subjects: Subject[] = [];
  try {
    for (const name of names) {
      // Only a name to the subject that needs no database.
      const target = name === 'memory' ? { database: place.database, name } : await createDatabase(place, name);
      if (name !== 'memory') targets.push(target);
      subjects.push(await openSubject(name, target));
    }
    return await work(subjects);
  } finally {
    for (const subject of subjects) await subject.close();
    for (const target of targets) await dropDatabase(place, target);
  }
}
