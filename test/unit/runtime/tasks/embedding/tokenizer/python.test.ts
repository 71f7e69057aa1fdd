/**
 * Runs every kind of part of a tokenizer.json, and complete tokenizers, and compares the results with those of Python's
 * library tokenizers. scripts/tokenizers/fixtures.py writes the fixtures; TOKENIZER_FIXTURES can name a folder with a
 * larger set.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeNormalizer } from '../../../../../../runtime/tasks/embedding/tokenizer/normalizers.ts';
import { TokenPipeline } from '../../../../../../runtime/tasks/embedding/tokenizer/pipeline.ts';
import { makePreTokenizer } from '../../../../../../runtime/tasks/embedding/tokenizer/pre-tokenizers.ts';
import { unicodeVersion } from '../../../../../../runtime/tasks/embedding/tokenizer/unicode.ts';

type Part = {
  readonly part: 'normalizer' | 'pre_tokenizer';
  readonly config: { readonly type: string };
  readonly digests: string;
};
type Whole = {
  readonly name: string;
  readonly tokenizer: object;
  readonly cases: readonly (readonly [string, readonly number[]])[];
};

const folder = process.env['TOKENIZER_FIXTURES'] ?? join(import.meta.dirname, '../../../../../fixtures/tokenizers');
const parts = JSON.parse(readFileSync(join(folder, 'parts.json'), 'utf8')) as {
  readonly charsmap: string;
  readonly texts: readonly string[];
  readonly parts: readonly Part[];
};
const { pipelines } = withCharsmap(JSON.parse(readFileSync(join(folder, 'pipelines.json'), 'utf8'))) as {
  readonly pipelines: readonly Whole[];
};

/** Replaces references to the charsmap by the charsmap, which the fixtures contain only once. */
function withCharsmap(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, inner: unknown) => (inner === 'CHARSMAP' ? parts.charsmap : inner));
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 4);
}

function resultOf({ part, config }: Part): (text: string) => unknown {
  if (part === 'normalizer') return makeNormalizer(withCharsmap(config)).apply;
  const { apply } = makePreTokenizer(withCharsmap(config));
  return (text) => (text === '' ? [] : apply({ text, first: true }).map((piece) => piece.text));
}

describe('the parts of a tokenizer', () => {
  it('were compared with the Unicode version of this Node.js (otherwise run scripts/tokenizers again)', () =>
    assert.equal(process.versions['unicode'], unicodeVersion));

  for (const one of parts.parts) {
    it(`equals Python's result: ${one.part} ${JSON.stringify(one.config).slice(0, 100)}`, () => {
      const apply = resultOf(one);
      const wrong = parts.texts.filter(
        (text, index) => digest(apply(text)) !== one.digests.slice(4 * index, 4 * index + 4),
      );
      assert.deepEqual(
        wrong.map((text) => [text, apply(text)]),
        [],
      );
    });
  }
});

describe('whole tokenizers', () => {
  for (const { name, tokenizer, cases } of pipelines) {
    it(`has the same ids as Python: ${name}`, () => {
      const pipeline = new TokenPipeline(tokenizer);
      const { before, after } = pipeline.around;
      for (const [text, ids] of cases)
        assert.deepEqual([...before, ...pipeline.encode(text), ...after], ids, JSON.stringify(text));
    });
  }
});
