/** Checks that comments and messages are plain technical English, and that lines have at most 120 columns. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const folders = ['api', 'lib', 'kube', 'operator', 'runtime', 'local', 'cli', 'bench', 'scripts', 'examples', 'test'];

/** Words that hide the person or thing that is meant, with advice on what to write instead. */
const riddles: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  {
    pattern: /\b(?:whoever|nobody(?!:)|somebody|anybody)\b/i,
    instead: 'name the subject: the caller, the pod, the user',
  },
  {
    pattern: /(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|later\b|earlier\b|other\b|such\b)/i,
    instead: '"is not a"',
  },
  { pattern: /(?<!there )\b(?:is|are|was|were) none(?! of\b)\b/i, instead: 'repeat the noun: "there are no steps"' },
  {
    pattern: /\b(?:to be had|be had\b|gets none|theirs|says? nothing|said nothing)\b/i,
    instead: 'say what happened: "was not reported", "is not available"',
  },
];

/** Words that are forbidden in comments only, because code may use them in names. */
const commentRiddles: typeof riddles = [
  { pattern: /\banew\b/i, instead: '"again", or "a new …"' },
  { pattern: /\bhappenings\b|\b(?:an?|the|each|every|one|first|next) happening\b/i, instead: 'occurrence, or Event' },
];
const commentLine = /^\s*(?:\/?\*|\/\/)|\/\*\*/;

function filesBelow(folder: string, ends = /\.(ts|cjs|mjs)$/): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => ends.test(path) && !/node_modules|\/fixtures\/|onnx\/proto\/|^test\/arch\//.test(path));
}

/** One line for each forbidden word in a file, with the advice. */
function riddlesIn(path: string, text: string): readonly string[] {
  return text
    .split('\n')
    .flatMap((line, i) =>
      [...riddles, ...(commentLine.test(line) ? commentRiddles : [])]
        .filter(({ pattern }) => pattern.test(line))
        .map(({ instead }) => `${path}:${i + 1}: ${line.trim()} (${instead})`),
    );
}

/** Lines of a Markdown file that can be wrapped: not code, tables, quotes of output, or a single code span. */
function proseOf(text: string): readonly { readonly line: string; readonly number: number }[] {
  let isCode = false;
  return text.split('\n').flatMap((line, i) => {
    if (line.trimStart().startsWith('```')) isCode = !isCode;
    const isWhole = /^\s*(?:[|>]|`[^`]*`;?$)/.test(line);
    return isCode || isWhole ? [] : [{ line, number: i + 1 }];
  });
}

describe('the language of sources', () => {
  const files = folders
    .flatMap((folder) => filesBelow(folder))
    .map((path) => [path, readFileSync(join(root, path), 'utf8')] as const);

  for (const folder of folders) {
    it(`is plain in ${folder}/`, () => {
      const asked = files.filter(([path]) => path.startsWith(`${folder}/`));
      assert.deepEqual(
        asked.flatMap(([path, text]) => riddlesIn(path, text)),
        [],
      );
    });
  }

  it('has lines of at most 120 columns', () => {
    const python = filesBelow('scripts', /\.py$/).map(
      (path) => [path, readFileSync(join(root, path), 'utf8')] as const,
    );
    const long = [...files, ...python].flatMap(([path, text]) =>
      text.split('\n').flatMap((line, i) => (line.length > 120 ? [`${path}:${i + 1}: ${line.length} columns`] : [])),
    );
    assert.deepEqual(long, []);
  });

  it('has lines of at most 120 columns in the prose of Markdown files', () => {
    const pages = [
      ...readdirSync(root).filter((name) => name.endsWith('.md')),
      ...filesBelow('docs', /\.md$/).filter((path) => !path.startsWith('docs/reference/')),
    ];
    const long = pages.flatMap((path) =>
      proseOf(readFileSync(join(root, path), 'utf8')).flatMap(({ line, number }) =>
        line.length > 120 ? [`${path}:${number}: ${line.length} columns`] : [],
      ),
    );
    assert.deepEqual(long, []);
  });

  it('has no separator lines: each section belongs in its own file', () => {
    const ruled = files.filter(([, text]) => /^\s*\/\/ [─-]{2,}/m.test(text)).map(([path]) => path);
    assert.deepEqual(ruled, []);
  });

  // prettier-ignore
  const mustFind = [
    'Whoever asks gets it', 'nobody waits', 'it is no number', 'steps are none then', 'that cannot be had yet',
    'Gateway gw has said nothing', '// The process starts anew.', ' * Counts the happenings of a minute.',
  ];
  for (const line of mustFind) it(`would notice "${line}"`, () => assert.equal(riddlesIn('x.ts', line).length, 1));

  // prettier-ignore
  const mayStay = ['it is not a number', 'there is no such file', 'it is no longer ready', 'it is no later than that',
    'there are no steps', 'const happening = next();', '// A loop that keeps happening is reported once.'];
  for (const line of mayStay) it(`lets "${line}" be`, () => assert.deepEqual(riddlesIn('x.ts', line), []));
});
