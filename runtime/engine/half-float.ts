/**
 * Half-precision numbers, which travel as their 16 bits because JavaScript has no such array everywhere.
 *
 * Pure. Source: IEEE 754 binary16.
 */

/** One sign bit, five of exponent, ten of fraction. */
export function halfToNumber(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
