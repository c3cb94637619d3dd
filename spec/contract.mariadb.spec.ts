import { contract, databaseSubject } from './contract';
import { eachDatabase, KINDS } from './support/databases';

const kinds = KINDS.filter(({ system }) => system === 'mariadb');

eachDatabase(kinds, (kind) => contract(databaseSubject(kind)));
