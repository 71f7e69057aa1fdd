/** The search for a bound of an interval gives the same number as bisection, in every bit, with fewer evaluations. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { crossingOf, type Crossing } from '../../../../operator/analysis/crossing.ts';
import {
  quantileEvidenceOf,
  quantileTest,
  shareAbove,
  shareBelow,
} from '../../../../operator/analysis/quantile-evidence.ts';
import { increaseEvidence } from '../../../../operator/analysis/rate-evidence.ts';

type Asked = Pick<Crossing, 'of' | 'bound' | 'near' | 'far'>;

function bisected({ of, bound, near, far }: Asked, halvings: number): number {
  let [inside, outside] = [near, far];
  for (let i = 0; i < halvings; i++) {
    const middle = (inside + outside) / 2;
    if (of(middle) >= bound) outside = middle;
    else inside = middle;
  }
  return outside;
}

describe('the crossing of a bound', () => {
  const shapes: readonly { readonly name: string; readonly of: (x: number) => number }[] = [
    { name: 'a parabola', of: (x) => x * x },
    { name: 'a line', of: (x) => x },
    { name: 'a line with a bend', of: (x) => Math.max(x / 10, 10 * x - 5) },
    { name: 'a function that is infinite at the far end', of: (x) => x / (1 - x) },
  ];
  for (const { name, of } of shapes)
    it(`equals the result of bisection for ${name}, for any first guess`, () =>
      fc.assert(
        fc.property(
          fc.double({ min: 1e-6, max: 0.9, noNaN: true }),
          fc.double({ min: -1, max: 2, noNaN: true }),
          (bound, guess) => {
            const asked = { of, bound, near: 0, far: 1 };
            const found = crossingOf({ ...asked, least: 0, guess, halvings: 36, doubt: 1e-13 });
            assert.equal(found, bisected(asked, 36));
          },
        ),
      ));

  it('equals the result of bisection although values are rounded', () => {
    const asked = { of: (x: number) => Math.round(x * x * 1e6) / 1e6, bound: 0.25, near: 0, far: 1 };
    const found = crossingOf({ ...asked, least: 0, guess: 0.5, halvings: 36, doubt: 1e-6 });
    assert.equal(found, bisected(asked, 36));
  });
});

describe('the bounds of a quantile', () => {
  it('equal the results of bisection, with less than half of the evaluations', () => {
    let [plain, asked] = [0, 0];
    fc.assert(
      fc.property(
        fc.constantFrom(0.5, 0.9, 0.95, 0.99),
        fc.double({ min: 20, max: 1e6, noNaN: true }),
        fc.double({ min: 0.5, max: 12, noNaN: true }),
        (p, n, bound) => {
          const test = quantileTest(p);
          const evidence = quantileEvidenceOf(test, n);
          for (const [find, far] of [[shareAbove, 1] as const, [shareBelow, 0] as const]) {
            if (!(evidence(far) >= bound)) continue;
            const counted = (e: number): number => ((asked += 1), evidence(e));
            const of = (e: number): number => ((plain += 1), evidence(e));
            assert.equal(find(test, counted, bound, n), bisected({ of, bound, near: test.share, far }, 36));
          }
        },
      ),
    );
    assert.ok(asked < plain / 2, `${asked} of ${plain}`);
  });
});

describe('the evidence against an increase', () => {
  it('is above a bound exactly if its complete minimum is, although the search may stop early', () => {
    const sample = fc.record({
      x: fc.integer({ min: 0, max: 400 }),
      n: fc.integer({ min: 400, max: 100_000 }),
      cluster: fc.double({ min: 0, max: 30, noNaN: true }),
    });
    fc.assert(
      fc.property(
        sample,
        sample,
        fc.double({ min: -1, max: 1, noNaN: true }),
        fc.double({ min: -5, max: 5, noNaN: true }),
        (candidate, stable, increase, off) => {
          const whole = increaseEvidence({ candidate, stable }, increase);
          for (const bound of [whole + off, whole, whole + 1e-9, whole - 1e-6])
            assert.equal(increaseEvidence({ candidate, stable }, increase, bound) >= bound, whole >= bound);
        },
      ),
    );
  });
});
