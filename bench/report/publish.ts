import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Result } from '../measures/measure';
import type { DatabaseName } from '../options';
import type { Environment } from './environment';
import { plot } from './plot';

/** Write a result as JSON and as a plot. */
export function publish(out: string, database: DatabaseName, result: Result, environment: Environment): void {
  mkdirSync(out, { recursive: true });
  const file = join(out, `${result.measure}-${database}`);
  writeFileSync(`${file}.json`, `${JSON.stringify({ database, ...result, environment }, rounded, 1)}\n`);
  const svg = plot(result, database, environment);
  if (svg) writeFileSync(`${file}.svg`, svg);
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}
