import { databaseScenarios } from './scenarios/suite';
import { eachDatabase, OWN_DRIVERS } from './support/databases';

eachDatabase(
  OWN_DRIVERS.filter(({ system }) => system === 'mysql'),
  databaseScenarios,
);
