/**
 * Log-gamma and log-beta, to full double precision over the range of request counts.
 *
 * Pure: no state. Checked against published values and identities in the tests.
 * Why: the judge needs only two functions of this kind; a numerics library would add hundreds.
 */

/**
 * Coefficients of Stirling's series, B(2n) / (2n (2n-1)), highest first. Abramowitz & Stegun, Handbook (1964), 6.1.41.
 */
const stirling = [-3617 / 122400, 1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12];
const halfLogTwoPi = 0.5 * Math.log(2 * Math.PI);
/** From this argument on, the series above is exact to the last digits of a double. */
const seriesFrom = 10;

/**
 * ln Γ(x).
 *
 * Stirling's series (Abramowitz & Stegun 6.1.41) after raising a small argument by the recurrence
 * Γ(x + 1) = x Γ(x).
 * @param x above 0; NaN otherwise
 */
export function logGamma(x: number): number {
  if (!(x > 0)) return NaN;
  let raised = x;
  let factor = 1;
  while (raised < seriesFrom) {
    factor *= raised;
    raised += 1;
  }
  const inverseSquare = 1 / (raised * raised);
  let series = 0;
  for (const coefficient of stirling) series = series * inverseSquare + coefficient;
  return (raised - 0.5) * Math.log(raised) - raised + halfLogTwoPi + series / raised - Math.log(factor);
}

/** ln B(a, b) = ln Γ(a) + ln Γ(b) - ln Γ(a + b), for a and b above 0. */
export function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}
