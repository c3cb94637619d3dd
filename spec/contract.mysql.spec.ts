import { contract, databaseSubject } from './contract';
import { eachDatabase, KINDS, MYSQL_WITHOUT_RETURNING } from './support/databases';

const kinds = [...KINDS.filter(({ family }) => family === 'mysql'), MYSQL_WITHOUT_RETURNING];

eachDatabase(kinds, (kind) => contract(databaseSubject(kind)));
