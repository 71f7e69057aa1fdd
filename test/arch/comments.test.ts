/** Every file and function named in a comment exists. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutComments } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');
const folders = [
  'api',
  'lib',
  'operator',
  'runtime',
  'local',
  'cli',
  'kube',
  'bench',
  'scripts',
  'examples',
  'test',
  'docs',
];

/** Paths of files, each with its text. */
type Files = ReadonlyMap<string, string>;

function filesOfRepository(): Files {
  const below = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const top = readdirSync(root).filter((name) => name.endsWith('.md'));
  const paths = [...below, ...top].filter(
    (path) =>
      /\.(ts|cjs|mjs|md)$/.test(path) &&
      !['node_modules', '/fixtures/', 'onnx/proto/'].some((part) => path.includes(part)),
  );
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

/** The comments of a source, each joined to one line. */
function commentsIn(source: string): readonly string[] {
  return [...source.matchAll(/\/\*[\s\S]*?\*\/|(?:^|\s)\/\/.*$/gm)].map(([text]) =>
    text.replaceAll(/\s*\n\s*\*?/g, ' '),
  );
}

/** Paths and bare names of source files. A name after `./` is part of an example and is not checked. */
const fileName = /(?<![\w./*-])[\w-][\w./-]*\.(?:ts|cjs|mjs)\b/g;
/** Documents of this repository. Comments may also name documents of other projects. */
const pageName = /(?<![\w./*-])(?:docs\/[\w./-]+|[A-Z]+)\.md\b/g;
const callName = /(?<![\w.])([A-Za-z_]\w*)\(\)/g;
/** A file and a name in that file, for example `(constants.ts, tuning)`. */
const nameInFile = /\(([\w./-]+\.ts), ([A-Za-z_]\w*)\)/g;

/** The files that a name in a comment may refer to: the file with this path, and files of this name in any folder. */
function meant(name: string, files: Files): readonly string[] {
  return [...files.keys()].filter((path) => path === name || path.endsWith(`/${name}`));
}

/** One sentence for each missing file, page or function that a comment names. */
function staleNames(files: Files): readonly string[] {
  // Leave out test/arch, because its tests contain invented sources.
  const sources = [...files].filter(([path]) => !path.endsWith('.md') && !path.startsWith('test/arch/'));
  const words = new Set(sources.flatMap(([, text]) => withoutComments(text).match(/[A-Za-z_]\w*/g) ?? []));
  return sources.flatMap(([path, text]) =>
    commentsIn(text)
      .flatMap((comment) => staleIn(comment, files, words))
      .map((what) => `${path}: ${what}`),
  );
}

function staleIn(comment: string, files: Files, words: ReadonlySet<string>): readonly string[] {
  const named = [...comment.matchAll(fileName), ...comment.matchAll(pageName)].map(([name]) => name);
  return [
    ...named.filter((name) => meant(name, files).length === 0).map((name) => `there is no file ${name}`),
    ...[...comment.matchAll(callName)]
      .filter(([, name = '']) => !words.has(name))
      .map(([call]) => `there is no function ${call}`),
    ...[...comment.matchAll(nameInFile)]
      .filter(([, file = '', name = '']) => !meant(file, files).some((path) => files.get(path)?.includes(name)))
      .map(([, file, name]) => `there is no ${name} in ${file}`),
  ];
}

describe('comments', () => {
  const files = filesOfRepository();

  it('name files and functions that exist', () => assert.deepEqual(staleNames(files), []));

  it('mention many files', () => {
    const named = [...files.values()].flatMap(commentsIn).flatMap((comment) => comment.match(fileName) ?? []);
    assert.ok(named.length > 100, `${named.length} names of files`);
  });

  const code = 'export function start() {}';
  // prettier-ignore
  const stale: readonly { readonly name: string; readonly text: string; readonly found: string }[] = [
    { name: 'a file that does not exist', text: '/** See b.ts. */', found: 'api/x.ts: there is no file b.ts' },
    { name: 'a file in another folder', text: '// lib/a.ts has it', found: 'api/x.ts: there is no file lib/a.ts' },
    { name: 'a page that does not exist', text: '/* docs/b.md */', found: 'api/x.ts: there is no file docs/b.md' },
    { name: 'a name over two lines', text: '/**\n * Told in\n * b.ts.\n */', found: 'api/x.ts: there is no file b.ts' },
    { name: 'a function that does not exist', text: '/** As stop(). */', found: 'api/x.ts: there is no function stop()' },
    { name: 'a name that is not in its file', text: '// (a.ts, stop)', found: 'api/x.ts: there is no stop in a.ts' },
  ];
  for (const { name, text, found } of stale) {
    it(`would notice ${name}`, () => {
      assert.deepEqual(
        staleNames(
          new Map([
            ['api/a.ts', code],
            ['api/x.ts', text],
          ]),
        ),
        [found],
      );
    });
  }

  it('may mention existing files and functions, and examples', () => {
    const text = '/** api/a.ts, a.ts (a.ts, start), start(), `./b.ts`, *.test.ts */';
    assert.deepEqual(
      staleNames(
        new Map([
          ['api/a.ts', code],
          ['api/x.ts', text],
        ]),
      ),
      [],
    );
  });
});
