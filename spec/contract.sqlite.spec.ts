import { contract, databaseSubject } from './contract';
import { eachDatabase, KINDS } from './support/databases';

const kinds = KINDS.filter(({ family }) => family === 'sqlite');

eachDatabase(kinds, (kind) => contract(databaseSubject(kind)));
