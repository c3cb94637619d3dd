import { MARIADB, MYSQL } from './support/server-kinds';
import { reachable } from './support/servers';

const BOTH = [
  [MYSQL, MARIADB],
  [MARIADB, MYSQL],
] as const;

describe('the servers of the suites', () => {
  for (const [kind, other] of BOTH) {
    const url = process.env[other.variable];
    (url ? it : it.skip)(
      `${url ? '' : `skipped, no ${other.label} server: `}a ${other.label} is not taken for a ${kind.label}`,
      async () => {
        const named = { ...kind, variable: other.variable };
        await expect(reachable(named)).rejects.toThrow(`names a ${other.label} server`);
        expect(await reachable({ ...kind, variable: 'NOT_SET', defaultUrls: [url as string] })).toBeUndefined();
      },
    );
  }
});
