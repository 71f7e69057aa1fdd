import assert from 'node:assert/strict';
import { tokenisingCost } from '../../../../../runtime/tasks/embedding/tokenizer-thread.ts';

describe('tokenisingCost', () => {
  const rows: readonly { name: string; text: string; want: number }[] = [
    { name: 'is 0 for an empty text', text: '', want: 0 },
    { name: "is the cube of a word's length", text: 'abcd', want: 64 },
    { name: 'sums words and the characters between them', text: 'ab, cd', want: 8 + 1 + 1 + 8 },
    { name: 'counts digits and letters beyond ASCII', text: 'é1', want: 8 },
    { name: 'grows slowly after a word is too long to be known', text: 'x'.repeat(1100), want: 1_000_000 + 1000 },
  ];
  for (const { name, text, want } of rows) it(name, () => assert.equal(tokenisingCost(text), want));

  it('is far higher for a page of hashes than for a page of prose', () => {
    const prose = 'the quick brown fox jumps over the lazy dog. '.repeat(80);
    const hashes = `${'0123456789abcdef'.repeat(4)} `.repeat(55);
    assert.ok(tokenisingCost(hashes) > 50 * tokenisingCost(prose));
  });
});
