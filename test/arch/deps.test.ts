/**
 * Checks that a constructor, factory or function gets its dependencies in one parameter `deps` of a type `…Deps`. Every
 * type with a clock, a logger or a registry of metrics must be named `…Deps`; types of settings and data have other
 * names.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutComments } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');
const folders = ['api', 'lib', 'kube', 'operator', 'runtime', 'local', 'cli'];

type Declared = { readonly name: string; readonly body: string };

/** Types that are declared as objects, with the text between their outermost braces. */
function objectTypesIn(text: string): readonly Declared[] {
  const long = text.matchAll(/^(?:export )?(?:type|interface) (\w+)[^={;]*=?[^;{]*\{\n([\s\S]*?)^\}/gm);
  // In a type on one line, fields begin after a brace or a semicolon. Put each field on its own line.
  const short = [...text.matchAll(/^(?:export )?type (\w+)[^=;\n]*= ([^\n]*)$/gm)].map(
    ([, name = '', body = '']) => [undefined, name, body.replaceAll(/[{;] /g, '\n  ')] as const,
  );
  return [...long, ...short].map(([, name = '', body = '']) => ({ name, body }));
}

/** Matches a field whose type is a clock, a logger or a registry of metrics. Fields of a nested type do not match. */
const worldly = /^ {2}(?:readonly )?\w+\??: (?:Clock|Logger|Registry)\b/m;

/** The names of types that have a clock, a logger or a registry as a field. */
function bagsIn(text: string): readonly string[] {
  return objectTypesIn(withoutComments(text))
    .filter(({ body }) => worldly.test(body))
    .map(({ name }) => name);
}

/** Parameters with an inline object type that has a clock, a logger or a registry as a field. */
function namelessBags(text: string): readonly string[] {
  return [...withoutComments(text).matchAll(/[(,]\s*(\w+|\{[^{}]*\})\??: \{([^{}]*)\}/g)]
    .filter(([, , body = '']) => /\b\w+\??: (?:Clock|Logger|Registry)\b/.test(body))
    .map(([, name = '']) => name);
}

/** Class fields and parameters whose type is named `…Deps` and whose own name is not `deps`. */
function misnamedHolders(text: string): readonly string[] {
  const plain = withoutComments(text);
  const fields = plain.matchAll(/^ {2}readonly #(\w+): \w+Deps\b/gm);
  // A field of an object type does not match this pattern, because the field ends in a semicolon.
  const parameters = plain.matchAll(/[(,]\s*(\w+)\??: \w+Deps\b(?:<[^<>]*>)?(?=\s*[,)=])/g);
  return [...fields, ...parameters].map(([, name = '']) => name).filter((name) => name !== 'deps');
}

describe('what a constructor, a factory or a call is given', () => {
  const texts = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => [join(folder, name), readFileSync(join(root, folder, name), 'utf8')] as const),
  );
  /** `path: name` for each name that `namesIn` finds in one of the files. */
  const found = (namesIn: (text: string) => readonly string[]): readonly string[] =>
    texts.flatMap(([path, text]) => namesIn(text).map((name) => `${path}: ${name}`));

  it('has a type whose name ends in Deps', () =>
    assert.deepEqual(
      found(bagsIn).filter((name) => !name.endsWith('Deps')),
      [],
    ));

  it('has a named type', () => assert.deepEqual(found(namelessBags), []));

  it('has the name deps', () => assert.deepEqual(found(misnamedHolders), []));

  it('is found in many files', () => assert.ok(found(bagsIn).length > 50));

  // prettier-ignore
  const mustFind: readonly { readonly name: string; readonly namesIn: (text: string) => readonly string[];
    readonly text: string; readonly want: readonly string[] }[] = [
    { name: 'a type with another ending', namesIn: bagsIn, want: ['PullerOptions'],
      text: 'export type PullerOptions = {\n  readonly clock: Clock;\n};\n' },
    { name: 'a type with parameters', namesIn: bagsIn, want: ['Retrying'],
      text: 'type Retrying<T> = {\n  readonly last: T;\n  readonly now: Clock;\n};\n' },
    { name: 'an interface with a registry', namesIn: bagsIn, want: ['Served'],
      text: 'interface Served {\n  registry: Registry;\n}\n' },
    { name: 'a type on one line', namesIn: bagsIn, want: ['Tools'],
      text: 'type Tools = { readonly store: Store; readonly logger?: Logger };\n' },
    { name: 'a parameter with a type of its own', namesIn: namelessBags, want: ['deps', '{ store }'],
      text: 'constructor(deps: { readonly clock: Clock }) {}\nfunction f(a: A, { store }: { logger: Logger }) {}' },
    { name: 'a field with another name', namesIn: misnamedHolders, want: ['world'],
      text: '  readonly #world: PullerDeps;\n' },
    { name: 'a parameter with another name', namesIn: misnamedHolders, want: ['hands', 'options', 'tools'],
      text: 'constructor(hands: PullerDeps) {}\nfunction f(\n  a: A,\n  options: PullDeps<T> = {},\n) {}\n' +
        'const g = (tools: PullDeps) => {};' },
  ];
  for (const { name, namesIn, text, want } of mustFind) {
    it(`would notice ${name}`, () => assert.deepEqual(namesIn(text), want));
  }

  it('may come with settings, be destructured, and be part of other types', () => {
    const text =
      'type Settings = {\n  readonly port: number;\n  readonly of: {\n    readonly clock: Clock;\n  };\n};\n' +
      'type Make = (clock: Clock) => void;\n' +
      'constructor(settings: Settings, { clock }: PullerDeps, now: () => number) {}\n' +
      'type ParentDeps = {\n  readonly puller: PullerDeps;\n};\n';
    assert.deepEqual([bagsIn(text), namelessBags(text), misnamedHolders(text)], [[], [], []]);
  });
});
