import { sql } from '../support/databases';
import { attributeQueries } from './attribute-queries';
import { attributes } from './attributes';
import { bufferedSignals } from './buffered-signals';
import { changedRows } from './changed-rows';
import { checkpoints } from './checkpoints';
import { concurrentTakes } from './concurrent-takes';
import { concurrentWrites } from './concurrent-writes';
import { events } from './events';
import { facets } from './facets';
import { hostTransactions } from './host-transactions';
import { instants } from './instants';
import { keys } from './keys';
import { leases } from './leases';
import { limits } from './limits';
import { longLists } from './long-lists';
import { patches } from './patches';
import { payloads } from './payloads';
import { progress } from './progress';
import { retention } from './retention';
import { runQueries } from './run-queries';
import { runs } from './runs';
import { scans } from './scans';
import { scope } from './scope';
import { sharedStatements } from './shared-statements';
import { needs, type Subject } from './subject';
import { tags } from './tags';
import { transactions } from './transactions';
import { waiters } from './waiters';

export { databaseSubject, referenceSubject } from './subjects';

const CONCERNS = [
  runs,
  patches,
  payloads,
  keys,
  limits,
  instants,
  checkpoints,
  progress,
  leases,
  waiters,
  bufferedSignals,
  events,
  scans,
  runQueries,
  tags,
  attributeQueries,
  attributes,
  longLists,
  facets,
  retention,
  transactions,
  scope,
  hostTransactions,
  changedRows,
  sharedStatements,
  concurrentTakes,
  concurrentWrites,
];

/** Everything a state store promises, as jest tests against `subject`. */
export function contract(subject: Subject): void {
  for (const concern of CONCERNS) concern(subject);

  needs(subject, 'database')('leaves a table of the host as it was after all that', async () => {
    const theirs = await sql(subject.orm).execute("select id, total from host_orders where id = 'theirs'");
    expect(theirs).toEqual([{ id: 'theirs', total: 7 }]);
  });
}
