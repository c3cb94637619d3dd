import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ts from 'typescript';
import * as library from '../../lib';

const ROOT = join(__dirname, '../..');

/** A fenced code block of a page. */
export interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  /** What follows the language, to find a block by. */
  readonly label: string;
  readonly text: string;
}

/** The code blocks of a page, a path from the project's root. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map((match) => ({
    page,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1] as string,
    label: match[2] ?? '',
    text: match[3] as string,
  }));
}

/** The text of the one block with this label, or else with this text. */
export function block(page: string, language: string, wanted: string): string {
  const candidates = blocksOf(page).filter((candidate) => candidate.language === language);
  const labelled = candidates.filter(({ label }) => label === wanted);
  const found = labelled.length > 0 ? labelled : candidates.filter(({ text }) => text.includes(wanted));
  if (found.length !== 1) throw new Error(`${page} has ${found.length} ${language} blocks with ${wanted}`);
  return (found[0] as Block).text;
}

/** What a TypeScript block exports, run against this code; the driver it imports is replaced by `driver`. */
export function evaluate(text: string, driver: string): Record<string, unknown> {
  const options = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true };
  const { outputText } = ts.transpileModule(text, { compilerOptions: options });
  const isDriver = /^@mikro-orm\/(better-sqlite|sqlite|postgresql|mysql|mariadb)$/;
  const find = (name: string): unknown => {
    if (name === 'durable-store-mikro-orm') return library;
    return require(isDriver.test(name) ? `@mikro-orm/${driver}` : name);
  };
  const exported = {};
  new Function('require', 'exports', outputText)(find, exported);
  return exported;
}
