/**
 * Checks that docs/vocabulary.md lists every word once and gives the word one home: an existing file that uses the
 * word. Checks that the paths and names in CONTRIBUTING.md exist.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

type Row = { readonly word: string; readonly homes: readonly string[] };

/** The rows of all tables. The last column of each table is the home: the file that defines the word. */
function rowsIn(text: string): readonly Row[] {
  return text
    .split('\n')
    .filter((line) => /^\| .* \|$/.test(line) && !line.startsWith('| word |'))
    .map((line) => line.slice(1, -1).split('|'))
    .map((cells) => ({ word: (cells[0] ?? '').trim(), homes: ticked(cells.at(-1) ?? '') }));
}

/** The texts between backticks. */
function ticked(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, inside = '']) => inside);
}

/** Only the letters of a text, in lower case: "warm-up" and "Warm up" give the same result. */
function letters(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z]/g, '');
}

/** The words of a text, with names split into words: " size class of" for `sizeClassOf`. */
function wordsOf(text: string): string {
  return ` ${text
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/[^A-Za-z]+/g, ' ')
    .toLowerCase()}`;
}

/**
 * Whether one of the text's words begins with this word: "prove" is found in "proves", but "row" is not found in
 * "throw".
 */
function uses(text: string, word: string): boolean {
  const words = wordsOf(text);
  return words.includes(wordsOf(word).trimEnd()) || words.includes(` ${letters(word)}`);
}

/** The text of a file below the root; undefined if the file does not exist. */
type Read = (path: string) => string | undefined;
const read: Read = (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined);

/** One sentence for each problem of a vocabulary. */
function problemsOf(text: string, of: Read): readonly string[] {
  const rows = rowsIn(text);
  const words = rows.map(({ word }) => letters(word));
  const twice = rows
    .filter(({ word }, i) => words.indexOf(letters(word)) !== i)
    .map(({ word }) => `${word}: is listed twice`);
  return [...twice, ...rows.flatMap((row) => problemOfHome(row, of))];
}

function problemOfHome({ word, homes }: Row, of: Read): readonly string[] {
  const [home, ...more] = homes;
  if (home === undefined || more.length > 0) return [`${word}: has ${homes.length} homes instead of one`];
  const source = of(home);
  if (source === undefined) return [`${word}: its home ${home} does not exist`];
  return uses(`${home} ${source}`, word) ? [] : [`${word}: its home ${home} does not use the word`];
}

/** The texts between backticks that are paths of files and folders of the repository. */
function pathsIn(text: string): readonly string[] {
  return ticked(text).filter((inside) => /^[\w.-]+\/[\w./-]*$/.test(inside));
}

describe('docs/vocabulary.md', () => {
  const text = readFileSync(join(root, 'docs', 'vocabulary.md'), 'utf8');

  it('lists every word once, with one home that exists and uses it', () => {
    assert.deepEqual(problemsOf(text, read), []);
  });
  it('has many rows', () => assert.ok(rowsIn(text).length > 60));

  const mustFail: readonly { readonly name: string; readonly text: string }[] = [
    { name: 'a word that is listed twice', text: '| gate | x | | `a.ts` |\n| gate | y | | `a.ts` |' },
    {
      name: 'a word that is listed in another spelling',
      text: '| warm gate | x | | `a.ts` |\n| Warm-gate | y | | `a.ts` |',
    },
    { name: 'a home that does not exist', text: '| gate | x | | `b.ts` |' },
    { name: 'a word without a home', text: '| gate | x | | |' },
    { name: 'a word with two homes', text: '| gate | x | | `a.ts`, `a.ts` |' },
    { name: 'a home that does not use the word', text: '| lease | x | | `a.ts` |' },
    { name: 'a home that contains the word only inside another word', text: '| arm | x | | `a.ts` |' },
  ];
  for (const { name, text: wrong } of mustFail) {
    it(`would notice ${name}`, () => {
      assert.equal(problemsOf(wrong, (path) => (path === 'a.ts' ? 'warmGate' : undefined)).length > 0, true);
    });
  }
  it('accepts a correct table', () => {
    assert.deepEqual(
      problemsOf('| word | meaning | elsewhere | home |\n|---|---|---|---|\n| gate | x | | `a.ts` |', () => 'gates'),
      [],
    );
  });
});

describe('the paths in CONTRIBUTING.md', () => {
  for (const page of ['CONTRIBUTING.md', 'docs/vocabulary.md', 'SECURITY.md', '.github/pull_request_template.md']) {
    it(`exist: ${page}`, () => {
      const paths = pathsIn(readFileSync(join(root, page), 'utf8'));
      assert.deepEqual(
        paths.filter((path) => !existsSync(join(root, path))),
        [],
      );
    });
  }
});

describe('the recipes of CONTRIBUTING.md', () => {
  const recipes = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').split(/^### /m).slice(1);
  /**
   * Whether a text looks like a name of two or more words in code, such as `uriPattern` or `TaskName`. Fields of the
   * spec match, too: their names occur in the schema's file.
   */
  const isName = (inside: string): boolean => /^[A-Za-z]+[a-z][A-Z]\w*$/.test(inside);

  for (const recipe of recipes) {
    const [title = ''] = recipe.split('\n', 1);
    it(`mention only names that the mentioned files contain: ${title}`, () => {
      const paths = pathsIn(recipe).filter((path) => path.endsWith('.ts'));
      const sources = paths.map((path) => read(path) ?? '').join('\n');
      assert.ok(paths.length > 0);
      assert.deepEqual(
        ticked(recipe).filter((inside) => isName(inside) && !new RegExp(`\\b${inside}\\b`).test(sources)),
        [],
      );
    });
  }
  it('exist for the most frequent additions', () => assert.ok(recipes.length >= 6));
});
