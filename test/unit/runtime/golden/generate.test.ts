import assert from 'node:assert/strict';
import type { Signature } from '../../../../runtime/engine/signature.ts';
import { comparable, tensorCases, textCases } from '../../../../runtime/golden/generate.ts';
import { decodeInfer, defaultDecodeLimits, type InferRequest } from '../../../../runtime/protocol/oip/decode.ts';
import type { GoldenCase } from '../../../../runtime/golden/case.ts';

const pictures = (side: number): Signature => ({
  inputs: [{ name: 'picture', type: 'float32', dims: ['n', 3, side, side] }],
  outputs: [
    { name: 'label', type: 'int64', dims: ['n'] },
    { name: 'scores', type: 'float32', dims: ['n', 10] },
  ],
});
const made = { seed: 7, count: 4, size: 8 };
const asked = ({ question }: GoldenCase): InferRequest =>
  decodeInfer(new Uint8Array(question.body ?? []), question.jsonBytes ?? 0, defaultDecodeLimits);

describe('generated golden cases', () => {
  it('are equal for equal seeds and differ for different seeds', () => {
    const [once, again, other] = [made, made, { ...made, seed: 8 }].map((how) => [
      ...tensorCases(pictures(4), 'm', how),
    ]);
    assert.deepEqual(once, again);
    assert.notDeepEqual(once, other);
  });

  it('alternate between one row and two, and request only the scores', () => {
    const cases = [...tensorCases(pictures(4), 'm', made)].map(asked);
    assert.deepEqual(
      cases.map(({ inputs }) => inputs['picture']?.dims[0]),
      [1, 2, 1, 2],
    );
    assert.ok(cases.every(({ outputs }) => outputs.length === 1 && outputs[0]?.name === 'scores'));
    assert.deepEqual(comparable(pictures(4)), ['scores']);
  });

  it('have one row where two would be too large; there are no cases where one row is too large', () => {
    assert.deepEqual(
      [...tensorCases(pictures(1000), 'm', { ...made, count: 2 })].map((one) => asked(one).inputs['picture']?.dims[0]),
      [1, 1],
    );
    assert.deepEqual([...tensorCases(pictures(2000), 'm', made)], []);
  });

  it('are one to three sentences for a model of texts, all different', () => {
    const texts = textCases('m', { seed: 20, count: 16 }).map(
      ({ question }) =>
        (JSON.parse(Buffer.from(question.body ?? []).toString()) as { readonly input: readonly string[] }).input,
    );
    assert.deepEqual(
      texts.slice(0, 4).map((list) => list.length),
      [1, 2, 3, 1],
    );
    const all = texts.flat();
    assert.ok(new Set(all).size > 0.9 * all.length, 'hardly any sentence repeats');
    assert.ok(all.every((text) => /^[A-Z].+[.!]$/.test(text)));
  });
});
