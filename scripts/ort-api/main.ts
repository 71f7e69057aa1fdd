/**
 * `npm run generate:ort-api -- FILE`: writes runtime/engine/capi/function-table.ts.
 * Owns: reading the file, and the version of onnxruntime-node for which the table holds.
 * Needs: FILE is onnxruntime_c_api.h of that version or a later one, or lib.rs of the Rust crate ort-sys. Functions of
 * the API's table never move, so every later declaration has the same positions.
 * Ends: 0, or 1 when a function is missing or has other types.
 */
import '../node-guard.cjs';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { declaredFunctions } from './declarations.ts';
import { tableSource } from './table.ts';

const [file] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write('usage: npm run generate:ort-api -- FILE\n\nFILE is onnxruntime_c_api.h or lib.rs of ort-sys\n');
  process.exit(1);
}
const bytes = readFileSync(file);
const source = tableSource({
  ortVersion: packageJson.dependencies['onnxruntime-node'],
  declaredBy: `${basename(file)}, sha256 ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`,
  declared: declaredFunctions(bytes.toString()),
});
writeFileSync(new URL('../../runtime/engine/capi/function-table.ts', import.meta.url), source);
