import type { Scenario } from '../scenario';
import { againScenarios } from './again';
import { childScenarios } from './children';
import { engineScenarios } from './engines';
import { fanOuts } from './fan-out';
import { messages } from './messages';
import { remotes } from './remote';
import { restarts } from './restarts';
import { retention } from './retention';
import { sagas } from './sagas';
import { transactions } from './transactions';
import { waits } from './waits';

export const SCENARIOS: readonly Scenario[] = [
  ...fanOuts,
  ...childScenarios,
  ...waits,
  ...messages,
  ...sagas,
  ...retention,
  ...restarts,
  ...engineScenarios,
  ...transactions,
  ...againScenarios,
  ...remotes,
];
