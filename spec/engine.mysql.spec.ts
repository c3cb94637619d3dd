import { engineSuite } from './engine/suite';
import { eachDatabase, KINDS } from './support/databases';

eachDatabase(
  KINDS.filter(({ system }) => system === 'mysql'),
  engineSuite,
);
