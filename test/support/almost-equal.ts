/**
 * Deep equality for values that contain sums of floats, whose last digits depend on the order of addition. Owns: the
 * tolerance. All other values must be strictly equal.
 */
import assert from 'node:assert/strict';

/**
 * Sums of the same terms in another order differ by a few units in the last place. 1e-9 is far above such a difference,
 * and far below any difference that matters.
 */
const relativeTolerance = 1e-9;

/** @throws AssertionError naming the first difference */
export function assertAlmostEqual(actual: unknown, expected: unknown, place = 'value'): void {
  if (typeof actual === 'number' && typeof expected === 'number') {
    const isClose =
      Object.is(actual, expected) || Math.abs(actual - expected) <= relativeTolerance * Math.max(1, Math.abs(expected));
    assert.ok(isClose, `${place}: ${actual} is not ${expected}`);
    return;
  }
  if (typeof actual !== 'object' || typeof expected !== 'object' || actual === null || expected === null) {
    assert.deepEqual(actual, expected, place);
    return;
  }
  assert.deepEqual(Object.keys(actual), Object.keys(expected), place);
  for (const [name, value] of Object.entries(actual)) {
    assertAlmostEqual(value, (expected as Readonly<Record<string, unknown>>)[name], `${place}.${name}`);
  }
}
