import { engineSuite } from './engine/suite';
import { eachDatabase, KINDS, MYSQL_WITHOUT_RETURNING } from './support/databases';

eachDatabase([...KINDS.filter(({ family }) => family === 'mysql'), MYSQL_WITHOUT_RETURNING], engineSuite);
