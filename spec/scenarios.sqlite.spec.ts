import { databaseScenarios } from './scenarios/suite';
import { eachDatabase, KINDS } from './support/databases';

eachDatabase(
  KINDS.filter(({ system }) => system === 'sqlite'),
  databaseScenarios,
);
