/**
 * Decodes the probabilities of characters at each step into a text.
 * Owns: greedy CTC decoding: the likeliest class of each step is taken, repetitions are joined, and blanks (class 0)
 * are left out. The margins of a picture decode as spaces, which are left out, too.
 * Pure.
 * Source: Graves et al. 2006, "Connectionist temporal classification", best path decoding.
 */
import type { FloatTensor } from '../client/oip.ts';

export type Reading = {
  readonly text: string;
  /** The mean probability of the characters, 0 to 1. */ readonly confidence: number;
};

/**
 * The character of each class. @param keys the file of characters, one per line. Class 0 is blank, the last class is
 * the space
 */
export function readAlphabet(keys: string): readonly string[] {
  return ['', ...keys.replace(/\n$/, '').split('\n'), ' '];
}

/**
 * @param steps the probabilities, with shape [1, steps, classes]
 * @throws RangeError when the alphabet does not fit the model
 */
export function decodeSteps({ shape, data }: FloatTensor, alphabet: readonly string[]): Reading {
  const [, steps = 0, classes = 0] = shape;
  if (classes !== alphabet.length)
    throw new RangeError(`the model knows ${classes} classes, the alphabet has ${alphabet.length}`);
  let text = '';
  let chances = 0;
  let characters = 0;
  let previous = 0;
  for (let step = 0; step < steps; step += 1) {
    const { index, chance } = likeliest(data.subarray(step * classes, (step + 1) * classes));
    if (index !== 0 && index !== previous) {
      text += alphabet[index] ?? '';
      chances += chance;
      characters += 1;
    }
    previous = index;
  }
  return { text: text.trim(), confidence: characters === 0 ? 0 : chances / characters };
}

function likeliest(chances: Float32Array): { readonly index: number; readonly chance: number } {
  let index = 0;
  chances.forEach((chance, at) => {
    if (chance > (chances[index] ?? 0)) index = at;
  });
  return { index, chance: chances[index] ?? 0 };
}
