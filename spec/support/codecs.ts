import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ts from 'typescript';
import type { PayloadCodec } from '../../lib';

/** Makes payloads unreadable, the same ones alike. */
export const sealing: PayloadCodec = {
  encode: (payload) => ({ sealed: Buffer.from(JSON.stringify(payload)).toString('base64') }),
  decode: (stored) => JSON.parse(Buffer.from((stored as { sealed: string }).sealed, 'base64').toString()),
};

/** The codec that the documentation shows, which encrypts the same payload differently each time. */
export const encrypting: (key: Buffer) => PayloadCodec = documented();

function documented(): (key: Buffer) => PayloadCodec {
  const page = readFileSync(join(__dirname, '../../docs/getting-started.md'), 'utf8');
  const example = /```ts encryption\n([\s\S]*?)```/.exec(page)?.[1]?.split('export const')[0] ?? '';
  const { outputText } = ts.transpileModule(example, { compilerOptions: { module: ts.ModuleKind.CommonJS } });
  const exports: { encrypting?: (key: Buffer) => PayloadCodec } = {};
  new Function('exports', 'require', outputText)(exports, require);
  if (!exports.encrypting) throw new Error('the page shows no codec');
  return exports.encrypting;
}
