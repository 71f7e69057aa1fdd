/** The tokenizer of a small encoder: ids, special tokens, truncation, and files that cannot be used. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TextTokenizer, type LengthRule } from '../../../../../runtime/tasks/embedding/tokenizer.ts';
import { tinyTokenizer, tinyVocabulary, writeTinyEncoder } from '../../../../support/tiny-encoder.ts';

const cut: LengthRule = { maxTokens: 12, onTooLong: 'Truncate' };
const refuse: LengthRule = { maxTokens: 12, onTooLong: 'Refuse' };

describe('TextTokenizer', () => {
  let folder = '';
  let tokenizer: TextTokenizer;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
    await writeTinyEncoder(folder);
    tokenizer = await TextTokenizer.load(join(folder, 'tokenizer.json'), join(folder, 'tokenizer_config.json'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const words = (ids: readonly number[]): string => ids.map((id) => tinyVocabulary[id]).join(' ');

  // prettier-ignore
  const encoded: readonly { name: string; text: string; rule?: LengthRule; want: string }[] = [
    { name: 'splits words and folds case and accents', text: 'Hello world, tokenizing naïve café!',
      want: '[CLS] hello world , token ##izing naive cafe ! [SEP]' },
    { name: 'ignores the truncation in its file', text: 'a a a a a a', want: '[CLS] a a a a a a [SEP]' },
    { name: 'has a token for unknown words', text: 'zebra', want: '[CLS] [UNK] [SEP]' },
    { name: 'converts blank text to special tokens only', text: '  \n ', want: '[CLS] [SEP]' },
    { name: 'keeps the special tokens when it cuts', text: 'the quick brown fox jumps over',
      rule: { maxTokens: 5, onTooLong: 'Truncate' }, want: '[CLS] the quick brown [SEP]' },
    { name: 'does not cut a text of exactly the limit', text: 'the quick brown',
      rule: { maxTokens: 5, onTooLong: 'Refuse' }, want: '[CLS] the quick brown [SEP]' },
    { name: 'cuts a very long text before it tokenises',
      text: 'fox '.repeat(1000), want: `[CLS] ${'fox '.repeat(10)}[SEP]` },
  ];
  for (const { name, text, rule = cut, want } of encoded)
    it(name, () => assert.equal(words(tokenizer.encode(text, rule, 'input')), want));

  it('does not cut a surrogate pair in half', () => {
    const text = `${'x'.repeat(12 * 64 - 1)}🦊🦊`;
    assert.equal(words(tokenizer.encode(text, cut, 'input')), '[CLS] [UNK] [SEP]');
  });

  it('refuses a text over the limit with its length', () => {
    const text = 'the quick brown fox jumps over the lazy dog and a fox';
    assert.throws(() => tokenizer.encode(text, refuse, 'input[3]'), {
      code: 'INPUT_TOO_LONG',
      message: /^input\[3\] has 15 tokens, the limit is 12/,
    });
  });

  it('refuses a text of too many characters before it tokenises', () => {
    assert.throws(() => tokenizer.encode('x'.repeat(12 * 64 + 1), refuse, 'input'), {
      code: 'INPUT_TOO_LONG',
      message: /769 characters, the limit is 768/,
    });
  });

  it('does not change token ids, except for cutting to the limit', () => {
    assert.deepEqual(tokenizer.accept([4, 5], cut, 'input'), [4, 5]);
    assert.equal(
      tokenizer.accept(
        Array.from({ length: 40 }, () => 4),
        cut,
        'input',
      ).length,
      12,
    );
    assert.throws(
      () =>
        tokenizer.accept(
          Array.from({ length: 40 }, () => 4),
          refuse,
          'input',
        ),
      { code: 'INPUT_TOO_LONG' },
    );
  });

  it('keeps the special token at the end of token ids when it cuts', () => {
    assert.deepEqual(tokenizer.accept([2, ...Array.from({ length: 40 }, () => 4), 3], cut, 'input'), [
      2,
      ...Array.from({ length: 10 }, () => 4),
      3,
    ]);
  });

  it('refuses token ids outside the vocabulary', () => {
    assert.throws(() => tokenizer.accept([4, tinyVocabulary.length], cut, 'input[1]'), {
      code: 'FIELD_INVALID',
      message: 'input[1]: contains the token id 24, but the vocabulary ends at 23',
    });
  });

  it('describes its vocabulary', () => {
    assert.deepEqual(tokenizer.vocabulary, { size: 24, padId: 0, before: [2], after: [3], zeroTypes: true });
  });

  it('works without a config', async () => {
    const bare = await TextTokenizer.load(join(folder, 'tokenizer.json'), join(folder, 'absent.json'));
    assert.equal(words(bare.encode('Hello', cut, 'input')), '[CLS] hello [SEP]');
  });

  // prettier-ignore
  const unusable: readonly { name: string; content: string | { bytes: number }; why: RegExp }[] = [
    { name: 'refuses a file that is not JSON', content: '{', why: /tokenizer\.json: it is not JSON/ },
    { name: 'refuses JSON that is not an object', content: '[]', why: /it is not a JSON object/ },
    { name: 'refuses an object that is not a tokenizer', content: '{"model":{"type":"None"}}',
      why: /not a tokenizer that this runtime can apply exactly: model None is not supported by this runtime/ },
    { name: 'refuses a file over its limit without reading it', content: { bytes: (64 << 20) + 1 },
      why: /67108865 bytes, more than the limit of 67108864/ },
  ];
  for (const { name, content, why } of unusable) {
    it(name, async () => {
      const path = join(folder, `${name.replaceAll(' ', '-')}-tokenizer.json`);
      await writeFile(path, typeof content === 'string' ? content : '');
      if (typeof content !== 'string') await truncate(path, content.bytes);
      await assert.rejects(TextTokenizer.load(path, join(folder, 'absent.json')), { code: 'BAD_CONFIG', message: why });
    });
  }

  it('names the file that the source lacks', async () => {
    await assert.rejects(TextTokenizer.load(join(folder, 'none.json'), ''), {
      code: 'BAD_CONFIG',
      message: /none\.json/,
    });
  });

  const without = (change: (made: { model: { vocab: Record<string, number> }; padding: unknown }) => void): string => {
    const made = tinyTokenizer() as { model: { vocab: Record<string, number> }; padding: unknown };
    change(made);
    return JSON.stringify(made);
  };

  it('refuses a vocabulary without its unknown token', async () => {
    await writeFile(
      join(folder, 'strict.json'),
      without(({ model }) => delete model.vocab['[UNK]']),
    );
    await assert.rejects(TextTokenizer.load(join(folder, 'strict.json'), ''), {
      code: 'BAD_CONFIG',
      message: /model WordPiece: a vocabulary without its unk_token "\[UNK\]" is not supported/,
    });
  });

  it('uses the padding token of its file if the config does not set one', async () => {
    await writeFile(
      join(folder, 'padded.json'),
      without((made) => {
        made.padding = { pad_id: 7 };
      }),
    );
    assert.equal((await TextTokenizer.load(join(folder, 'padded.json'), '')).vocabulary.padId, 7);
  });

  it('names the part that it does not support', async () => {
    await writeFile(
      join(folder, 'scripts.json'),
      without((made) => Object.assign(made, { pre_tokenizer: { type: 'UnicodeScripts' } })),
    );
    await assert.rejects(TextTokenizer.load(join(folder, 'scripts.json'), ''), {
      code: 'BAD_CONFIG',
      message: new RegExp(
        String.raw`scripts\.json: not a tokenizer that this runtime can apply exactly: pre_tokenizer ` +
          'UnicodeScripts is not supported by this runtime',
      ),
    });
  });
});
