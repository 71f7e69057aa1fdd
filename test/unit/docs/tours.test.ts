/**
 * The commands in README.md and examples/: the files that they name exist, the manifests are valid, and each command
 * uses only objects that an earlier command created.
 */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OnnxModel } from '../../../api/onnxmodel.ts';
import { documentsOf } from '../../../cli/offline/manifest-files.ts';
import { judgeDocument } from '../../../cli/commands/validate.ts';
import { quotesIn } from '../../support/golden.ts';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '..', '..', '..');
const text = (path: string): string => readFileSync(join(root, path), 'utf8');
const blocksOf = (page: string): readonly string[] =>
  [...text(page).matchAll(/^```sh\n(.*?)^```$/gms)].map(([, body = '']) => body.replaceAll('\\\n', ' '));
const filesOf = (line: string): readonly string[] =>
  [...line.matchAll(/-f (examples\/\S+\.yaml)/g)].map(([, file = '']) => file);
const modelsOf = (file: string): readonly string[] => {
  const object = parse(text(file)) as OnnxModel & { readonly kind?: string };
  return object.kind === 'OnnxModel' ? [object.metadata.name] : [];
};

for (const page of ['README.md', 'examples/README.md']) {
  describe(`the tours of ${page}`, () => {
    const lines = blocksOf(page).flatMap((block) => block.split('\n'));

    it('apply manifests that exist and are valid', () => {
      const files = lines.flatMap(filesOf);
      assert.ok(files.length > 0);
      for (const file of files) {
        assert.ok(existsSync(join(root, file)), file);
        assert.deepEqual(
          documentsOf(file, text(file))
            .flatMap(judgeDocument)
            .filter(({ outcome }) => outcome === 'Invalid')
            .flatMap(({ findings }) => findings),
          [],
        );
      }
    });

    it('wait for, query and show models that an earlier line applied', () => {
      const known = new Set<string>();
      for (const line of lines) {
        for (const model of filesOf(line).flatMap(modelsOf)) known.add(model);
        const asked = [
          ...line.matchAll(/(?:kubectl-onnx -- \w+|onnxmodel\/|get (?:om|onnxmodel)) ?([a-z][a-z0-9-]*)/g),
        ].map(([, name = '']) => name);
        for (const name of asked) assert.ok(known.has(name), `${line}: no line before it applies ${name}`);
      }
      assert.ok(known.size > 0);
    });
  });
}

describe('the stories that README.md shows', () => {
  const quotes = quotesIn(text('README.md'));

  it('are all stories of changes.story.test.ts', () => {
    const told = globSync('test/story/a-change-that-*.golden', { cwd: root }).toSorted();
    assert.ok(told.length > 2);
    assert.deepEqual([...quotes.keys()].toSorted(), told);
  });
  for (const [path, quote] of quotes) it(`equal ${path}`, () => assert.equal(quote, text(path)));
});

describe('the canary tour of README.md', () => {
  const blocks = blocksOf('README.md').map((block) => block.split('\n').flatMap(filesOf));
  const tour = blocks.find((files) => files.some((file) => file.startsWith('examples/canary/'))) ?? [];

  it('uses another model name than the example before it', () => {
    const before = blocks.slice(0, blocks.indexOf(tour)).flat().flatMap(modelsOf);
    assert.deepEqual(
      tour.flatMap(modelsOf).filter((name) => before.includes(name)),
      [],
    );
    assert.equal(new Set(tour.flatMap(modelsOf)).size, 1);
  });

  it('sends requests before the first change, and no wait lasts less than the steps', () => {
    const block = blocksOf('README.md').find((body) => body.includes('examples/canary/')) ?? '';
    assert.ok(block.indexOf('run -s load') < block.indexOf('2-faster'));
    assert.ok([...block.matchAll(/wait search --timeout (\d+)m/g)].every(([, minutes]) => Number(minutes) >= 3));
  });
});
