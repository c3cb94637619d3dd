import { contract, referenceSubject } from './contract';

// Where the engine's own store is right, the suite must agree with it.
describe('InMemoryStateStore of the engine', () => contract(referenceSubject()));
