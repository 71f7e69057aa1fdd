/** The functions of statistics that the judge needs (logarithms of Γ and B, normal quantiles), at published values. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { logBeta, logGamma } from '../../../../operator/analysis/special-functions.ts';
import { normalQuantile } from '../../../../bench/canary/normal.ts';

function close(actual: number, expected: number, relative: number): void {
  const error = Math.abs(actual - expected) / Math.max(1, Math.abs(expected));
  assert.ok(error <= relative, `${actual}, expected ${expected}`);
}

describe('logGamma', () => {
  // Published values of Γ: Abramowitz & Stegun, Handbook, tables 6.1 and 6.3, and factorials.
  const published: readonly { x: number; value: number }[] = [
    { x: 0.5, value: 0.5723649429247001 },
    { x: 1, value: 0 },
    { x: 1.5, value: -0.12078223763524522 },
    { x: 2, value: 0 },
    { x: 3, value: Math.LN2 },
    { x: 10, value: Math.log(362880) },
    { x: 101, value: 363.7393755555635 },
    { x: 1001, value: 5912.128178488163 },
    { x: 1e-5, value: 11.512919692895824 },
  ];
  for (const { x, value } of published) it(`is right to 14 digits at ${x}`, () => close(logGamma(x), value, 2e-14));

  it('obeys the recurrence at every size', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 1e7, noNaN: true }), (x) =>
        close(logGamma(x + 1) - logGamma(x), Math.log(x), 1e-14 * Math.max(1, Math.abs(logGamma(x)))),
      ),
    );
  });

  it('obeys the duplication formula', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 1e4, noNaN: true }), (x) =>
        close(
          logGamma(2 * x),
          logGamma(x) + logGamma(x + 0.5) + (2 * x - 1) * Math.LN2 - 0.5 * Math.log(Math.PI),
          1e-13,
        ),
      ),
    );
  });

  it('is NaN at and below zero', () => {
    assert.ok(Number.isNaN(logGamma(0)));
    assert.ok(Number.isNaN(logGamma(-1.5)));
  });
});

describe('logBeta', () => {
  it('is exact for whole numbers', () => close(logBeta(3, 4), Math.log(1 / 60), 1e-14));
  it('is symmetric', () =>
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 1e6, noNaN: true }),
        fc.double({ min: 0.1, max: 1e6, noNaN: true }),
        (a, b) => close(logBeta(a, b), logBeta(b, a), 1e-12),
      ),
    ));
});

describe('normalQuantile', () => {
  const published: readonly { share: number; value: number }[] = [
    { share: 0.5, value: 0 },
    { share: 0.75, value: 0.6744897501960817 },
    { share: 0.975, value: 1.959963984540054 },
    { share: 0.999, value: 3.090232306167813 },
    { share: 1e-10, value: -6.361340902404056 },
  ];
  for (const { share, value } of published)
    it(`is right at ${share}`, () => close(normalQuantile(share), value, 1e-14));
});
