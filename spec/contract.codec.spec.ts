import { contract, databaseSubject } from './contract';
import { sealing } from './support/codecs';
import { eachDatabase, KINDS } from './support/databases';

// A store that encodes its payloads promises what any other does.
eachDatabase(
  KINDS.filter(({ driver }) => driver === 'better-sqlite'),
  (kind) => describe('with a codec', () => contract(databaseSubject(kind, { codec: sealing }))),
);
