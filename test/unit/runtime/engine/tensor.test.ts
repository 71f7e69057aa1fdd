import assert from 'node:assert/strict';
import { halfToNumber } from '../../../../runtime/engine/tensor.ts';

/**
 * The value of 16 bits by the definition of IEEE 754 binary16: one sign bit, five bits of exponent, ten bits of
 * fraction.
 */
function byDefinition(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe('half-precision numbers', () => {
  it('equal the definition of IEEE 754, all 65,536 of them', () => {
    const all = Array.from({ length: 2 ** 16 }, (_, bits) => bits);
    assert.deepEqual(
      all.filter((bits) => !Object.is(halfToNumber(bits), byDefinition(bits))),
      [],
    );
  });
});
