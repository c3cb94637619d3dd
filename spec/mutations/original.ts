import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutation } from './mutations';

const ROOT = join(__dirname, '../..');

/** The file without the defect. */
export function original({ defect, file, find }: Mutation): string {
  const text = readFileSync(join(ROOT, file), 'utf8');
  if (text.split(find).length === 2) return text;
  throw new Error(`"${defect}": its text does not occur exactly once in ${file}`);
}
