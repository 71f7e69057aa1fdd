/** Which packages an image contains. */
import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closureOf, importedPackages, type Lock } from '../../../../scripts/images/dependencies.ts';

const lock: Lock = {
  '': { dependencies: { a: '1' } },
  'node_modules/a': { dependencies: { b: '1', c: '1' } },
  'node_modules/a/node_modules/b': { dependencies: { d: '1' } },
  'node_modules/b': {},
  'node_modules/c': { optionalDependencies: { d: '1', 'other-platform': '1' } },
  'node_modules/d': { dependencies: { a: '1' } },
  'node_modules/onnxruntime-node': { dependencies: { 'adm-zip': '1', 'onnxruntime-common': '1' } },
  'node_modules/onnxruntime-common': {},
  'node_modules/adm-zip': {},
  'node_modules/tar-stream': { dependencies: { 'bare-fs': '1', b: '1' } },
  'node_modules/bare-fs': {},
  'node_modules/native': { optionalDependencies: { here: '1', elsewhere: '1', 'other-cpu': '1' } },
  'node_modules/here': { os: [process.platform], cpu: [process.arch] },
  'node_modules/elsewhere': { os: ['other'], cpu: [process.arch] },
  'node_modules/other-cpu': { os: [process.platform], cpu: ['other'] },
};

type Row = { readonly name: string; readonly names: readonly string[]; readonly want: readonly string[] };

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'adds only the package when it has no dependencies', names: ['b'], want: ['node_modules/b'] },
  { name: 'adds the copy that the importer would find', names: ['a'],
    want: ['node_modules/a', 'node_modules/a/node_modules/b', 'node_modules/c', 'node_modules/d'] },
  { name: 'leaves out optional packages of other platforms', names: ['c'],
    want: ['node_modules/a', 'node_modules/a/node_modules/b', 'node_modules/c', 'node_modules/d'] },
  { name: 'leaves out packages that the lock file has for other platforms', names: ['native'],
    want: ['node_modules/here', 'node_modules/native'] },
  { name: 'leaves out packages that only an install script uses', names: ['onnxruntime-node'],
    want: ['node_modules/onnxruntime-common', 'node_modules/onnxruntime-node'] },
  { name: 'leaves out packages that only another runtime loads', names: ['tar-stream'],
    want: ['node_modules/b', 'node_modules/tar-stream'] },
];

describe('closureOf', () => {
  for (const { name, names, want } of rows) {
    it(name, () => assert.deepEqual(closureOf(names, lock), want));
  }

  it('names the missing package', () =>
    assert.throws(
      () => closureOf(['nowhere'], lock),
      /nowhere, imported by the program, is not in package-lock\.json/,
    ));
});

describe('importedPackages', () => {
  it('finds static, dynamic and side-effect imports of packages, but not of files or of Node, or in strings', () => {
    const dir = mkdtempSync(join(tmpdir(), 'imports-'));
    try {
      mkdirSync(join(dir, 'deep'));
      writeFileSync(
        join(dir, 'main.js'),
        `import { x } from "express";\nimport './near.js';\nimport 'undici';\nimport fs from 'fs';\nimport { y } ` +
          `from "node:http";\n`,
      );
      writeFileSync(
        join(dir, 'deep/worker.js'),
        `export { z } from '@bufbuild/protobuf/wire';\nconst t = await import('@huggingface/tokenizers');\n`,
      );
      writeFileSync(
        join(dir, 'words.js'),
        `/* taken from 'old' */\nexport const text = 'a score from "0" to "1", import "x"';\n// import 'never';\n`,
      );
      assert.deepEqual(importedPackages(dir), ['@bufbuild/protobuf', '@huggingface/tokenizers', 'express', 'undici']);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
