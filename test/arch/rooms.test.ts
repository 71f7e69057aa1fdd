/**
 * Checks that imports of source files, including type imports, form no cycle, and that few files are at the top of a
 * folder.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { importsOf } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');
const folders = ['api', 'lib', 'operator', 'runtime', 'local', 'cli', 'kube', 'bench', 'scripts', 'examples'];

/** Paths of files, each with its text. */
type Sources = ReadonlyMap<string, string>;

function sourcesBelow(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => /\.(ts|cjs|mjs)$/.test(name) && !name.includes('node_modules'));
}

/** Maps each file of `sources` to the files of `sources` that it imports. */
function arrowsOf(sources: Sources): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...sources].map(([path, text]) => [
      path,
      importsOf(text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => normalize(join(dirname(path), specifier)))
        .filter((target) => sources.has(target)),
    ]),
  );
}

/**
 * The cycles that a search along the imports finds, such as `a.ts -> b.ts -> a.ts`. If there are cycles, the search
 * finds at least one of them.
 */
function circlesIn(sources: Sources): readonly string[] {
  const arrows = arrowsOf(sources);
  const done = new Set<string>();
  const circles: string[] = [];
  const walk = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) circles.push([...way.slice(start), path].join(' -> '));
    if (start >= 0 || done.has(path)) return;
    for (const next of arrows.get(path) ?? []) walk(next, [...way, path]);
    done.add(path);
  };
  for (const path of arrows.keys()) walk(path, []);
  return circles;
}

describe('imports', () => {
  const sources = new Map(
    folders.flatMap(sourcesBelow).map((path) => [path, readFileSync(join(root, path), 'utf8')] as const),
  );

  it('have no cycle', () => assert.deepEqual(circlesIn(sources), []));

  it('are found in all folders', () => assert.ok([...arrowsOf(sources).values()].flat().length > 1000));

  // prettier-ignore
  const mustFind: readonly { readonly name: string; readonly files: Readonly<Record<string, string>>;
    readonly circle: string }[] = [
    { name: 'a cycle of two files', circle: 'api/a.ts -> api/b.ts -> api/a.ts',
      files: { 'api/a.ts': "import { b } from './b.ts';", 'api/b.ts': "import { a } from './a.ts';" } },
    { name: 'a cycle of type imports', circle: 'api/a.ts -> api/b.ts -> api/a.ts',
      files: { 'api/a.ts': "import type { B } from './b.ts';", 'api/b.ts': "import type { A } from './a.ts';" } },
    { name: 'a cycle of three files in two folders', circle: 'api/a.ts -> lib/b.ts -> lib/c.ts -> api/a.ts',
      files: { 'api/a.ts': "import { b } from '../lib/b.ts';", 'lib/b.ts': "import { c } from './c.ts';",
        'lib/c.ts': "import type { A } from '../api/a.ts';" } },
    { name: 'a cycle without the file at which the search begins', circle: 'api/b.ts -> api/c.ts -> api/b.ts',
      files: { 'api/a.ts': "import { b } from './b.ts';", 'api/b.ts': "import { c } from './c.ts';",
        'api/c.ts': "export { b } from './b.ts';" } },
    { name: 'a file that imports itself', circle: 'api/a.ts -> api/a.ts',
      files: { 'api/a.ts': "import { a } from './a.ts';" } },
  ];
  for (const { name, files, circle } of mustFind) {
    it(`would notice ${name}`, () => assert.deepEqual(circlesIn(new Map(Object.entries(files))), [circle]));
  }

  it('may reach the same file by two paths', () => {
    const [b, c] = ["import { d } from './d.ts';", "import type { D } from './d.ts';"];
    const files = { 'a.ts': "import './b.ts';\nimport './c.ts';", 'b.ts': b, 'c.ts': c, 'd.ts': '' };
    assert.deepEqual(circlesIn(new Map(Object.entries(files))), []);
  });
});

describe('the top of a folder', () => {
  const most = 6;
  for (const folder of ['operator', 'cli', 'runtime', 'kube']) {
    it(`has at most ${most} files: ${folder}/`, () => {
      const files = readdirSync(join(root, folder), { withFileTypes: true }).filter((entry) => entry.isFile());
      assert.ok(files.length <= most, `${folder}/ has ${files.length} files at the top: use a subfolder`);
    });
  }
});
