import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MikroORM, Options } from '@mikro-orm/core';
// An application imports from 'durable-store-mikro-orm'.
import { ENTITIES, sqliteConfig } from '../../lib';
import { SHOP_ENTITIES } from './shop';

/** Where the demo keeps everything. */
export interface DemoDatabase {
  /** `sqlite:<file>`, `postgresql://…` or `mysql://…`; a worker process opens the same one. */
  readonly url: string;
  /** As a person knows it. */
  readonly label: string;
  /** Remove what was only made for this demo: the temporary SQLite file. A server's database stays. */
  remove(): void;
}

/** The database that `DATABASE_URL` names, or a SQLite file in a temporary directory. */
export function chooseDatabase(url = process.env.DATABASE_URL): DemoDatabase {
  if (url) return { url, label: withoutPassword(url), remove: () => undefined };
  const directory = mkdtempSync(join(tmpdir(), 'durable-demo-'));
  const file = join(directory, 'shop.sqlite');
  return { url: `sqlite:${file}`, label: `SQLite, ${file}`, remove: () => rmSync(directory, { recursive: true }) };
}

/** Open the application's ORM: its own entities and, beside them, the five of the store. */
export async function openDatabase(url: string, extra: Options = {}): Promise<MikroORM> {
  const options: Options = {
    entities: [...ENTITIES, ...SHOP_ENTITIES],
    ...extra,
  };
  const scheme = url.slice(0, url.indexOf(':'));
  switch (scheme) {
    case 'sqlite':
    case 'file': {
      const { MikroORM } = await import('@mikro-orm/better-sqlite');
      return MikroORM.init({ ...options, dbName: url.slice(scheme.length + 1), ...sqliteConfig() });
    }
    case 'postgres':
    case 'postgresql': {
      const { MikroORM } = await import('@mikro-orm/postgresql');
      return MikroORM.init({ ...options, clientUrl: url });
    }
    case 'mysql':
    case 'mariadb': {
      const { MikroORM } = await import('@mikro-orm/mysql');
      return MikroORM.init({ ...options, clientUrl: url.replace(/^mariadb:/, 'mysql:') });
    }
    default:
      throw new TypeError(`DATABASE_URL: expected sqlite:<file>, postgresql://… or mysql://…, got ${scheme}:…`);
  }
}

function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:@/]*):[^@/]*@/, '$1:***@');
}
