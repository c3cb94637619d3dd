import { MUTATIONS } from './mutations/mutations';
import { original } from './mutations/original';

it.each(MUTATIONS.map((mutation) => [mutation.defect, mutation] as const))(
  'can be put back: %s',
  (_defect, mutation) => {
    expect(original(mutation)).toContain(mutation.find);
  },
);
