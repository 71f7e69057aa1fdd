/** Resource quantities. */
import assert from 'node:assert/strict';
import { canonicalQuantity, nanosOf } from '../../../../lib/schema/quantity.ts';

describe('canonicalQuantity', () => {
  // What kube-apiserver 1.35 answers with.
  const rows: readonly (readonly [string, string])[] = [
    ['1024Mi', '1Gi'], ['1000m', '1'], ['0.5', '500m'], ['1.5Gi', '1536Mi'], ['2Gi', '2Gi'], ['1000', '1k'], ['1500', '1500'], ['100m', '100m'], ['0', '0'], ['0Mi', '0'],
    ['1000Ki', '1000Ki'], ['1e3', '1e3'], ['-1000m', '-1'], ['1M', '1M'], ['0.1', '100m'], ['1n', '1n'], ['1', '1'],
  ];
  for (const [text, want] of rows) it(`writes ${text} as ${want}`, () => assert.equal(canonicalQuantity(text), want));
});

describe('nanosOf', () => {
  it('compares units of both kinds', () => {
    assert.ok((nanosOf('1Mi') ?? 0n) > (nanosOf('1M') ?? 0n));
    assert.equal(nanosOf('1Ki'), nanosOf('1024'));
    assert.equal(nanosOf('1e3'), nanosOf('1k'));
  });
  for (const text of ['', '1Zi', 'x', '1 Gi', '--1', '1.2.3', '1e', '0x10']) it(`takes ${JSON.stringify(text)} for no quantity`, () => assert.equal(nanosOf(text), undefined));
});
