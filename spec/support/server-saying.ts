import type { Options } from '@mikro-orm/core';

/** Options of an ORM to whose probe a MySQL or MariaDB server answers with these settings, besides what it cannot do without. */
export function serverSaying(settings: Readonly<Record<string, string>>): Options {
  const said = Object.entries({ version: 'version()', sql_select_limit: '@@sql_select_limit', ...quoted(settings) });
  const answer = said
    .map(([name, value]) => `select '${name}' as Variable_name, ${value} as Value`)
    .join(' union all ');
  return { onQuery: (text: string) => (/^show session variables/.test(text) ? answer : text) };
}

function quoted(settings: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, `'${value}'`]));
}
