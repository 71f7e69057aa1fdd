/** Checks that exported names are unique, so that a name means the same thing in every file. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutComments } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');
const folders = ['api', 'lib', 'kube', 'operator', 'runtime', 'cli', 'local'];

/** Paths of files, each with its text. */
type Files = ReadonlyMap<string, string>;

const declaration =
  /^export (?:default )?(?:declare )?(?:async )?(?:abstract )?(?:function\*?|class|const|let|type|interface|enum) ([\w$]+)/gm;

/** The names that a file declares and exports. A re-exported name does not count. */
function exportsOf(text: string): readonly string[] {
  // Count a function with overloads once, although it is declared several times.
  return [...new Set([...withoutComments(text).matchAll(declaration)].map(([, name = '']) => name))];
}

/** `name: a.ts, b.ts` for every name that more than one file exports. */
function duplicatesIn(files: Files): readonly string[] {
  const homes = new Map<string, string[]>();
  for (const [path, text] of files)
    for (const name of exportsOf(text)) homes.set(name, [...(homes.get(name) ?? []), path]);
  return [...homes]
    .filter(([, paths]) => paths.length > 1)
    .map(([name, paths]) => `${name}: ${paths.join(', ')}`)
    .sort();
}

describe('exported names', () => {
  const files: Files = new Map(
    folders
      .flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
      )
      .filter((path) => path.endsWith('.ts'))
      .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
  );

  it('are unique in the repository', () => assert.deepEqual(duplicatesIn(files), []));

  it('are found in many files', () => assert.ok([...files.values()].flatMap(exportsOf).length > 2000));

  // prettier-ignore
  const mustFind: readonly { readonly name: string; readonly first: string; readonly second: string }[] = [
    { name: 'two functions', first: 'export function stepsOf() {}', second: 'export async function stepsOf() {}' },
    { name: 'a type and an interface', first: 'export type Look = 1;', second: 'export interface Look {}' },
    { name: 'a class and a constant', first: 'export abstract class Row {}', second: 'export const Row = 1;' },
  ];
  for (const { name, first, second } of mustFind) {
    it(`would notice ${name} of one name`, () => {
      const found = duplicatesIn(
        new Map([
          ['a.ts', first],
          ['b.ts', second],
        ]),
      );
      assert.equal(found.length, 1);
    });
  }

  it('may be overloaded, re-exported, and named in comments', () => {
    const first = 'export function at(x: string): void;\nexport function at(x: number): void;';
    const second = "export { at } from './a.ts';\n/*\nexport function at() {}\n*/";
    assert.deepEqual(
      duplicatesIn(
        new Map([
          ['a.ts', first],
          ['b.ts', second],
        ]),
      ),
      [],
    );
  });
});
