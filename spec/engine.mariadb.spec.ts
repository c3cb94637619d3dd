import { engineSuite } from './engine/suite';
import { eachDatabase, KINDS } from './support/databases';

eachDatabase(
  KINDS.filter(({ system }) => system === 'mariadb'),
  engineSuite,
);
