import assert from 'node:assert/strict';
import { decodeSteps, readAlphabet } from '../../../../examples/ocr/ctc.ts';

const alphabet = readAlphabet('a\nb\n');

/**
 * Output of the network with one step per letter of `letters`: the letter has the probability 0.8 and each other label
 * 0.1. '_' stands for the blank label, ' ' for a space.
 */
function path(letters: string) {
  const classes = ['_', 'a', 'b', ' '];
  const data = Float32Array.from(
    letters.split('').flatMap((letter) => classes.map((one) => (one === letter ? 0.8 : 0.1))),
  );
  return { shape: [1, letters.length, classes.length], data };
}

describe('decodeSteps', () => {
  const rows: readonly { name: string; steps: string; want: string }[] = [
    { name: 'joins repeats', steps: 'aaab', want: 'ab' },
    { name: 'keeps a double letter that a blank separates', steps: 'a_ab', want: 'aab' },
    { name: 'drops blanks', steps: '__a__b__', want: 'ab' },
    { name: 'keeps spaces between letters', steps: 'a  b', want: 'a b' },
    { name: 'drops spaces at the margins', steps: ' ab ', want: 'ab' },
    { name: 'reads nothing in an empty line', steps: '____', want: '' },
  ];
  for (const { name, steps, want } of rows) it(name, () => assert.equal(decodeSteps(path(steps), alphabet).text, want));

  it('reports the mean probability of the characters', () => {
    assert.ok(Math.abs(decodeSteps(path('a_b'), alphabet).confidence - 0.8) < 1e-6);
    assert.equal(decodeSteps(path('__'), alphabet).confidence, 0);
  });

  it('refuses an alphabet of another model', () => {
    assert.throws(() => decodeSteps(path('ab'), readAlphabet('a\nb\nc\n')), /knows 4 classes, the alphabet has 5/);
  });
});
