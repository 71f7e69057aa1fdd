/** Checks that the dependencies of a constructor have one name: a parameter `deps` of a type `…Deps`. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutComments } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');
const folders = ['api', 'lib', 'kube', 'operator', 'runtime', 'local', 'cli'];

type Declared = { readonly name: string; readonly body: string };

/** Types that are declared as objects, with the text between their outermost braces. */
function objectTypesIn(text: string): readonly Declared[] {
  return [...text.matchAll(/^(?:export )?(?:type|interface) (\w+)[^={;]*=?[^;{]*\{\n([\s\S]*?)^\}/gm)].map(
    ([, name = '', body = '']) => ({ name, body }),
  );
}

/** The names of types that contain a clock or a logger. */
function bagsIn(text: string): readonly string[] {
  return objectTypesIn(withoutComments(text))
    .filter(({ body }) => /^ {2}(?:readonly )?(?:clock|logger)\??: /m.test(body))
    .map(({ name }) => name);
}

/** The types of the parameters of a file's constructors. */
function givenIn(text: string): readonly string[] {
  return [...withoutComments(text).matchAll(/\bconstructor\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    [...list.matchAll(/\w+: (\w+)/g)].map(([, name = '']) => name),
  );
}

/** Fields, and parameters of constructors, that have a type `…Deps` and a name other than `deps`. */
function misnamedHolders(text: string): readonly string[] {
  const plain = withoutComments(text);
  const fields = [...plain.matchAll(/^ {2}readonly #(\w+): \w+Deps\b/gm)];
  const parameters = [...plain.matchAll(/\bconstructor\(\s*(?:[^()]*,\s*)?(\w+): \w+Deps\b/g)];
  return [...fields, ...parameters].map(([, name = '']) => name).filter((name) => name !== 'deps');
}

describe('what a constructor is given', () => {
  const texts = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => [join(folder, name), readFileSync(join(root, folder, name), 'utf8')] as const),
  );
  const bags = new Set(texts.flatMap(([, text]) => bagsIn(text)));

  it('has a type with the ending Deps', () =>
    assert.deepEqual(
      texts.flatMap(([path, text]) =>
        givenIn(text)
          .filter((name) => bags.has(name) && !name.endsWith('Deps'))
          .map((name) => `${path}: ${name}`),
      ),
      [],
    ));

  it('is read', () => assert.ok(bags.size > 20));

  it('is named deps', () =>
    assert.deepEqual(
      texts.flatMap(([path, text]) => misnamedHolders(text).map((name) => `${path}: ${name}`)),
      [],
    ));

  it('would be noticed under another name', () => {
    assert.deepEqual(bagsIn('export type PullerOptions = {\n  readonly clock: Clock;\n};\n'), ['PullerOptions']);
    assert.deepEqual(givenIn('constructor(settings: Settings, options: PullerOptions) {}'), [
      'Settings',
      'PullerOptions',
    ]);
    assert.deepEqual(misnamedHolders('  readonly #world: PullerDeps;\n  constructor(hands: PullerDeps) {}'), [
      'world',
      'hands',
    ]);
  });

  it('may stand beside settings', () => {
    assert.deepEqual(bagsIn('type Settings = {\n  readonly port: number;\n};\n'), []);
    assert.deepEqual(misnamedHolders('  constructor(settings: Settings, deps: PullerDeps) {}'), []);
  });
});
