import { contract } from './contract';
import { everything } from './hostile/hosts';
import { hostSubject } from './hostile/subject';
import { eachDatabase, KINDS } from './support/databases';

const kinds = KINDS.filter(({ system, driver }) => system === 'mysql' && driver === 'mysql');

describe('a host with every hostile setting at once', () => {
  eachDatabase(kinds, (kind) => contract(hostSubject(kind, everything(kind))));
});
