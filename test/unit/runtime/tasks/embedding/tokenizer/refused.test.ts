/**
 * If a tokenizer.json has a part that this runtime would apply differently from Python's library tokenizers, loading
 * the model fails with a message that names the part.
 */
import assert from 'node:assert/strict';
import { TokenPipeline } from '../../../../../../runtime/tasks/embedding/tokenizer/pipeline.ts';

const model = { type: 'WordLevel', unk_token: '[UNK]', vocab: { '[UNK]': 0, a: 1, hello: 2, b: 3 } };
const token = (id: number, content: string, more: object = {}): object => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...more,
});
const bpe = { type: 'BPE', vocab: { '[UNK]': 0, a: 1, b: 2, ab: 3 }, merges: [['a', 'b']] };
const split = (Regex: string): object => ({
  pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
});
const first = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true };

// prettier-ignore
const rows: readonly { readonly name: string; readonly file: object; readonly says: RegExp }[] = [
  { name: 'an unknown normalizer', file: { normalizer: { type: 'Stem' } },
    says: /^normalizer Stem is not supported by this runtime$/ },
  { name: 'an unknown normalizer in a sequence',
    file: { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' },
      { type: 'Stem' }] } }, says: /^normalizer Stem is not/ },
  { name: 'an unknown option', file: { normalizer: { type: 'BertNormalizer', fold: true } },
    says: /^normalizer BertNormalizer: its option fold is not supported/ },
  { name: 'an option of another type', file: { normalizer: { type: 'BertNormalizer', lowercase: 'yes' } },
    says: /^normalizer BertNormalizer: lowercase must be true or false$/ },
  { name: 'a damaged charsmap', file: { normalizer: { type: 'Precompiled',
      precompiled_charsmap: 'AAAA' } }, says: /precompiled_charsmap is damaged/ },
  { name: 'the pre-tokenizer UnicodeScripts', file: { pre_tokenizer: { type: 'UnicodeScripts' } },
    says: /^pre_tokenizer UnicodeScripts is not supported/ },
  { name: 'an unknown behaviour', file: { pre_tokenizer: { type: 'Punctuation',
      behavior: 'Doubled' } }, says: /behavior must be one of Removed, Isolated/ },
  { name: 'a back-reference', file: split(String.raw`(a)\1`),
    says: /^pre_tokenizer Split: its regular expression has "\\\\1" at position 3, which is not supported/ },
  { name: 'a named class', file: split('[[:alpha:]]+'), says: /"\[\[?:alpha:/ },
  { name: 'a condition', file: split('(?(a)b|c)'), says: /"\(\?\(a" at position/ },
  { name: 'an option for the whole expression', file: split('(?i)a'), says: /regular expression has "\(\?i\)"/ },
  { name: 'case folding from one letter to two', file: split('(?i:ss)'), says: /"ss within \(\?i:"/ },
  { name: 'case folding beyond ASCII', file: split('(?i:é)'), says: /"é within \(\?i:"/ },
  { name: 'an unknown property', file: split(String.raw`\p{Emoji}`),
    says: /"\\\\p\{Emoji\}" at position 0/ },
  { name: 'a prefix for the first word after a normalizer that removes blanks',
    file: { normalizer: { type: 'Strip', strip_left: true, strip_right: true },
      pre_tokenizer: first }, says: /Metaspace with prepend_scheme "first" is not supported .* with a normalizer/ },
  { name: 'another model', file: { model: { type: 'Legacy' } }, says: /^model Legacy is not supported/ },
  { name: 'WordLevel without its unknown token', file: { model: { ...model, unk_token: '<unk>' } },
    says: /^model WordLevel: a vocabulary without its unk_token "<unk>" is not/ },
  { name: 'BPE with dropout', file: { model: { ...bpe, dropout: 0.1 } },
    says: /^model BPE: dropout, which gives different ids each time/ },
  { name: 'a merge with a token outside the vocabulary', file: { model: { ...bpe, merges: [['a', 'c']] } },
    says: /^model BPE: merge 0 has the token "c", which is not in the vocabulary$/ },
  { name: 'Unigram without an unknown token',
    file: { model: { type: 'Unigram', unk_id: null, vocab: [['a', -1]] } }, says: /unk_id must be a whole number/ },
  { name: 'an added token with another id than in the vocabulary', file: { added_tokens: [token(7, 'hello')] },
    says: /^added token "hello" has the id 7, but the vocabulary gives it 2/ },
  { name: 'added tokens that are equal after normalization',
    file: { normalizer: { type: 'Lowercase' },
      added_tokens: [token(4, 'X', { normalized: true }), token(5, 'x', { normalized: true })] },
    says: /^two added tokens are both "x" after normalization/ },
  { name: 'an unknown post-processor', file: { post_processor: { type: 'Reverse' } },
    says: /^post_processor Reverse is not supported/ },
  { name: 'a template without the text', file: {
      post_processor: { type: 'TemplateProcessing', single: [], pair: [],
      special_tokens: {} } }, says: /a template that does not have the text exactly once/ },
  { name: 'an unknown part', file: { stemmer: {} }, says: /^its part stemmer is not supported/ },
];

describe('TokenPipeline', () => {
  for (const { name, file, says } of rows)
    it(`refuses ${name}`, () =>
      assert.throws(() => new TokenPipeline({ model, ...file }), { name: 'TokenizerUnsupported', message: says }));

  it('gives unknown words the id of the unknown token', () => {
    assert.deepEqual(new TokenPipeline({ model, pre_tokenizer: { type: 'Whitespace' } }).encode('hello there'), [2, 0]);
  });

  it('includes added tokens in the number of ids', () => {
    assert.equal(new TokenPipeline({ model, added_tokens: [token(4, '<x>'), token(5, '<y>')] }).size, 6);
  });
});
