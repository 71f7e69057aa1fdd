/**
 * `npm run generate:onnx`: writes the generated code in runtime/onnx/proto from onnx.proto in that folder.
 * Owns: the calls of protoc and its plugin. The generated code is committed, so that tests do not need protoc.
 * Needs: protoc on the PATH (Debian: protobuf-compiler). The plugin is installed next to this file on first use,
 * because it depends on a TypeScript of its own.
 * Ends: 0, or 1 when protoc is missing or refuses the file.
 */
import '../node-guard.cjs';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const home = import.meta.dirname;
const proto = join(home, '..', '..', 'runtime', 'onnx', 'proto');
const plugin = join(home, 'node_modules', '.bin', 'protoc-gen-es');

function run(program: string, args: readonly string[]): void {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (error !== undefined) console.error(`cannot start ${program}: ${error.message}`);
  if (status !== 0) process.exit(1);
}

if (!existsSync(plugin))
  run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', home]);
run('protoc', [
  `--plugin=protoc-gen-es=${plugin}`,
  `--proto_path=${proto}`,
  `--es_out=${proto}`,
  // Generate no enums: Node runs TypeScript by erasing types, and an enum cannot be erased.
  '--es_opt=target=ts,import_extension=ts,erasable_syntax=true',
  join(proto, 'onnx.proto'),
]);
